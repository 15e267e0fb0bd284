package io.github.koloader.elf.internal;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.koloader.image.Bytes;
import java.util.LinkedHashSet;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Texts in a kernel's image: its version line, what its modules must have, and names that tables
 * point to.
 *
 * <p>What modules must have is the text of a variable, so it is there as a whole: the release, and
 * words for what the configuration has, each followed by a blank.
 *
 * @kernel init/version.c, linux_banner; kernel/module/main.c, vermagic; include/linux/vermagic.h
 */
final class ImageTexts {
    /** Characters that a symbol's name may have: twice what kernels allow. */
    static final int LONGEST_SYMBOL = 1024;

    private static final String BANNER = "Linux version ";
    private static final int LONGEST = 1024;
    private static final int LONGEST_RELEASE = 64; // __NEW_UTS_LEN
    private static final int MOST_TRIES = 1 << 14; // of a file made to be slow
    private static final Pattern BANNER_LINE =
            Pattern.compile("Linux version (\\d{1,6}\\.\\d{1,6}(?!\\d)[!-~]*)( [ -~]*)?\n?");
    private static final Pattern NUMBERED = Pattern.compile(" #\\d");
    private static final Pattern VERMAGIC_WORDS = Pattern.compile("[!-~]+( [\\w-]+)+ ?");
    private static final Pattern VERMAGIC_WORD =
            Pattern.compile(" (SMP|preempt|preempt_rt|mod_unload|modversions)( |$)");

    private final LinkedImage image;

    ImageTexts(LinkedImage image) {
        this.image = image;
    }

    /** The text at an address: up to its NUL, if that is not too far off. */
    Optional<String> at(long address, int longest) {
        Optional<LinkedImage.Piece> piece = image.pieceAt(address, 1);
        return piece.isEmpty()
                ? Optional.empty()
                : text(piece.get().bytes(), (int) (address - piece.get().address()), longest);
    }

    private static Optional<String> text(Bytes bytes, int from, int longest) {
        for (int i = 0; i <= longest && from + i < bytes.size(); i++) {
            if (bytes.get(from + i) == 0) {
                return Optional.of(bytes.slice(from, i).toLatin1());
            }
        }
        return Optional.empty();
    }

    /**
     * The version line, without its newline: that of its symbol, else the first that has a build
     * number. Since 6.1 there is another one, made before that number was known.
     */
    Optional<String> banner(SymbolIndex symbols) {
        Set<String> lines = matching(BANNER, BANNER_LINE);
        return symbols.address("linux_banner")
                .flatMap(address -> at(address, LONGEST))
                .filter(text -> BANNER_LINE.matcher(text).matches())
                .or(() -> lines.stream().filter(line -> NUMBERED.matcher(line).find()).findFirst())
                .or(() -> lines.stream().findFirst())
                .map(String::stripTrailing);
    }

    /** The release that a version line names. */
    static String release(String banner) {
        Matcher matcher = BANNER_LINE.matcher(banner);
        return matcher.matches() ? matcher.group(1) : "";
    }

    /**
     * Everything that looks like what the modules of a release must have; nothing if that is none.
     */
    Set<String> vermagics(String release) {
        if (release.length() > LONGEST_RELEASE) {
            return Set.of();
        }
        Set<String> found = matching(release + " ", VERMAGIC_WORDS);
        found.removeIf(text -> !VERMAGIC_WORD.matcher(text).find());
        return found;
    }

    /** Texts of the image, up to their NUL, that begin so and look so. */
    private Set<String> matching(String beginning, Pattern pattern) {
        byte[] first = beginning.getBytes(ISO_8859_1);
        Set<String> found = new LinkedHashSet<>();
        int tries = 0;
        for (LinkedImage.Piece piece : image.pieces()) {
            Bytes bytes = piece.bytes();
            int at = bytes.indexOf(first[0], 0);
            for (; at >= 0 && tries < MOST_TRIES; at = bytes.indexOf(first[0], at + 1)) {
                if (bytes.matches(at, first)) {
                    tries++;
                    text(bytes, at, LONGEST)
                            .filter(text -> pattern.matcher(text).matches())
                            .ifPresent(found::add);
                }
            }
        }
        return found;
    }
}
