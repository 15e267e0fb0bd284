package io.github.koloader.elf;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.koloader.LoadException;
import io.github.koloader.elf.internal.SectionFinder;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Modinfo;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What {@code modinfo} of kmod 30 prints about a module file, byte for byte: the strings of {@code
 * .modinfo}, then those of the signature, then the parameters, last one first. Immutable.
 *
 * <p>As kmod does, it goes by the name of the section alone, so that also files which no kernel
 * would load are shown. Text is one character a byte.
 *
 * <pre>{@code
 * Bytes file = KoReader.any().unpackedBytes(Path.of("hello.ko"));
 * System.out.print(ModinfoText.read(file).everything('\n'));
 * }</pre>
 */
public final class ModinfoText {
    private static final int TAG_WIDTH = 16;
    private static final int HEX_BYTES_A_LINE = 20;

    /** A parameter as it is put together from {@code parm} and {@code parmtype}. */
    private static final class Parameter {
        private @Nullable String description;
        private @Nullable String type;
    }

    private final List<Modinfo.Entry> entries;
    private final Optional<ModuleSignature> signature;

    private ModinfoText(List<Modinfo.Entry> entries, Optional<ModuleSignature> signature) {
        this.entries = List.copyOf(entries);
        this.signature = signature;
    }

    /**
     * Reads a module.
     *
     * @param file all bytes of the unpacked file
     * @return what is to be printed
     * @throws LoadException ENOEXEC if it is not ELF, EINVAL if its section headers cannot be read,
     *     ENOENT if it has no section {@code .modinfo}
     */
    public static ModinfoText read(Bytes file) {
        List<Modinfo.Entry> entries = strings(SectionFinder.find(file, ".modinfo"));
        Optional<ModuleSignature> signature = ModuleSignature.of(file);
        if (signature.isPresent()) {
            ModuleSignature found = signature.get();
            add(entries, "sig_id", found.idType());
            add(entries, "signer", found.signer().text(0));
            add(entries, "sig_key", hex(found.keyId()));
            add(entries, "sig_hashalgo", found.hashAlgorithm());
            add(entries, "signature", hex(found.signature()));
        }
        return new ModinfoText(entries, signature);
    }

    private static void add(List<Modinfo.Entry> entries, String tag, String value) {
        entries.add(new Modinfo.Entry(tag, Bytes.wrap(value.getBytes(ISO_8859_1))));
    }

    /**
     * Cuts a section into its strings: runs of NULs part them, and at least one byte must follow
     * the first of them.
     */
    private static List<Modinfo.Entry> strings(Bytes section) {
        List<Modinfo.Entry> entries = new ArrayList<>();
        int at = 0;
        while (at < section.size() - 1 && section.get(at) == 0) {
            at++;
        }
        if (section.size() - at <= 1) {
            return entries;
        }
        while (at < section.size()) {
            int length = section.textLength(at);
            entries.add(entry(section.slice(at, length)));
            at += length;
            while (at < section.size() && section.get(at) == 0) {
                at++;
            }
        }
        return entries;
    }

    private static Modinfo.Entry entry(Bytes text) {
        int equals = text.indexOf((byte) '=', 0);
        return equals < 0
                ? new Modinfo.Entry(text.toLatin1(), Bytes.EMPTY)
                : new Modinfo.Entry(text.slice(0, equals).toLatin1(), text.slice(equals + 1));
    }

    /** Bytes as {@code 0A:1B:…}, 20 a line; further lines begin with two TABs. */
    private static String hex(Bytes bytes) {
        StringBuilder text = new StringBuilder(bytes.size() * 3);
        for (int i = 0; i < bytes.size(); i++) {
            if (i > 0) {
                text.append(i % HEX_BYTES_A_LINE == 0 ? ":\n\t\t" : ":");
            }
            int value = bytes.get(i) & 0xff;
            text.append(Character.toUpperCase(Character.forDigit(value >> 4, 16)));
            text.append(Character.toUpperCase(Character.forDigit(value & 0xf, 16)));
        }
        return text.toString();
    }

    /**
     * Entries of the section in its order, then those of the signature: {@code sig_id} and so on.
     *
     * @return all of them
     */
    public List<Modinfo.Entry> entries() {
        return entries;
    }

    /**
     * The signature.
     *
     * @return empty if the file has none
     */
    public Optional<ModuleSignature> signature() {
        return signature;
    }

    /**
     * The first line: {@code filename:} and the name.
     *
     * @param file the name, one character a byte
     * @param separator what ends the line
     * @return the line
     */
    public static String filename(String file, char separator) {
        return pad("filename:") + file + separator;
    }

    /**
     * All lines but {@link #filename the first}.
     *
     * @param separator what ends each: {@code '\n'}; with NUL, entries are printed as {@code
     *     tag=value}
     * @return the lines, one character a byte
     */
    public String everything(char separator) {
        StringBuilder text = new StringBuilder();
        for (Modinfo.Entry entry : entries) {
            if (isParameter(entry)) {
                continue;
            }
            if (separator == '\0') {
                text.append(entry.tag()).append('=');
            } else {
                text.append(pad(entry.tag() + ":"));
            }
            text.append(entry.value().toLatin1()).append(separator);
        }
        parameters()
                .forEach(
                        (name, parameter) -> {
                            text.append(pad("parm:")).append(name).append(':');
                            if (parameter.description == null) {
                                text.append(parameter.type);
                            } else {
                                text.append(parameter.description);
                                appendType(text, parameter);
                            }
                            text.append(separator);
                        });
        return text.toString();
    }

    /**
     * The values with one tag alone; for {@code parm}, the parameters.
     *
     * @param tag the tag, one character a byte
     * @param separator what ends each
     * @return the values, one character a byte; nothing if there are none
     */
    public String field(String tag, char separator) {
        StringBuilder text = new StringBuilder();
        if (!tag.equals("parm")) {
            for (Modinfo.Entry entry : entries) {
                if (entry.tag().equals(tag)) {
                    text.append(entry.value().toLatin1()).append(separator);
                }
            }
            return text.toString();
        }
        parameters()
                .forEach(
                        (name, parameter) -> {
                            text.append(name).append(':');
                            if (parameter.description != null) {
                                text.append(parameter.description);
                            }
                            appendType(text, parameter);
                            text.append(separator);
                        });
        return text.toString();
    }

    private static void appendType(StringBuilder text, Parameter parameter) {
        if (parameter.type != null) {
            text.append(" (").append(parameter.type).append(')');
        }
    }

    /**
     * Entries {@code parm} and {@code parmtype} that lack the colon, which kmod complains about:
     * {@code tag=value}.
     *
     * @return them, in the section's order
     */
    public List<String> invalidParameters() {
        return entries.stream()
                .filter(entry -> isParameter(entry) && entry.value().indexOf((byte) ':', 0) < 0)
                .map(entry -> entry.tag() + "=" + entry.value().toLatin1())
                .toList();
    }

    private static boolean isParameter(Modinfo.Entry entry) {
        return entry.tag().equals("parm") || entry.tag().equals("parmtype");
    }

    /** Parameters by name, the one that appears first in the section last. */
    private Map<String, Parameter> parameters() {
        Map<String, Parameter> byName = new LinkedHashMap<>();
        for (Modinfo.Entry entry : entries) {
            String value = isParameter(entry) ? entry.value().toLatin1() : "";
            int colon = value.indexOf(':');
            if (colon < 0) {
                continue;
            }
            Parameter parameter =
                    byName.computeIfAbsent(value.substring(0, colon), name -> new Parameter());
            if (entry.tag().equals("parm")) {
                parameter.description = value.substring(colon + 1);
            } else {
                parameter.type = value.substring(colon + 1);
            }
        }
        List<String> names = new ArrayList<>(byName.keySet());
        Map<String, Parameter> reversed = new LinkedHashMap<>();
        for (int i = names.size() - 1; i >= 0; i--) {
            reversed.put(names.get(i), byName.get(names.get(i)));
        }
        return reversed;
    }

    /**
     * {@code tag:} padded to the column of the values; a tag that is too long gets as many blanks
     * as it is too long.
     */
    private static String pad(String tag) {
        return tag + " ".repeat(Math.abs(TAG_WIDTH - tag.length()));
    }
}
