package io.github.koloader.elf.internal;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import io.github.koloader.image.Bytes;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The members of an archive as {@code ar} writes them: a header of 60 bytes of text before each,
 * members on even offsets. Names of more than 15 bytes lie in a member of their own, {@code //};
 * BSD's lie before the contents. Of a thin archive's members only the headers are there.
 */
public final class ArchiveMembers {
    /**
     * A member.
     *
     * @param name its name
     * @param offset bytes from the start of the archive to its header
     * @param contents its bytes; {@code null} if they lie in a file of that name
     */
    public record Member(String name, long offset, @Nullable Bytes contents) {}

    private static final byte[] MAGIC = "!<arch>\n".getBytes(ISO_8859_1);
    private static final byte[] THIN_MAGIC = "!<thin>\n".getBytes(ISO_8859_1);
    private static final int HEADER = 60;
    private static final int SIZE_AT = 48;
    private static final int END_AT = 58;

    private final String archive;
    private final Bytes bytes;
    private final boolean thin;
    private Bytes longNames = Bytes.EMPTY;

    private ArchiveMembers(String archive, Bytes bytes) {
        this.archive = archive;
        this.bytes = bytes;
        this.thin = bytes.matches(0, THIN_MAGIC);
    }

    /** Whether a file is an archive. */
    public static boolean isArchive(Bytes bytes) {
        return bytes.matches(0, MAGIC) || bytes.matches(0, THIN_MAGIC);
    }

    /**
     * The members that are files, in order; tables of symbols and names are none.
     *
     * @param archive what messages call it
     * @param bytes all of its bytes
     * @throws IOException if it is damaged
     */
    public static List<Member> read(String archive, Bytes bytes) throws IOException {
        return new ArchiveMembers(archive, bytes).read();
    }

    private List<Member> read() throws IOException {
        List<Member> members = new ArrayList<>();
        int at = MAGIC.length;
        while (at < bytes.size()) {
            if (bytes.size() - at < HEADER
                    || bytes.get(at + END_AT) != '`'
                    || bytes.get(at + END_AT + 1) != '\n') {
                throw damaged(at, "there is no header of a member");
            }
            String field = text(at, 16).stripTrailing();
            long size = size(at);
            boolean table = field.equals("/") || field.equals("//") || field.equals("/SYM64/");
            boolean here = table || !thin;
            int start = at + HEADER;
            if (here && size > bytes.size() - start) {
                throw damaged(at, "the member has " + size + " bytes, of which not all are there");
            }
            Bytes contents = here ? bytes.slice(start, (int) size) : null;
            if (field.equals("//") && contents != null) {
                longNames = contents;
            } else if (!table) {
                add(members, at, field, contents);
            }
            long next = here ? start + size + (size & 1) : start;
            at = (int) Math.min(next, bytes.size());
        }
        return members;
    }

    private void add(List<Member> members, int at, String field, @Nullable Bytes contents)
            throws IOException {
        if (field.startsWith("#1/") && contents != null) {
            int length = number(field.substring(3), at);
            if (length > contents.size()) {
                throw damaged(at, "its name has " + length + " bytes, of which not all are there");
            }
            String name = contents.slice(0, length).text(0);
            if (!name.startsWith("__.SYMDEF")) {
                members.add(new Member(name, at, contents.slice(length)));
            }
        } else if (field.startsWith("/")) {
            members.add(new Member(longName(field.substring(1), at), at, contents));
        } else {
            boolean slash = field.endsWith("/");
            String name = slash ? field.substring(0, field.length() - 1) : field;
            members.add(new Member(name, at, contents));
        }
    }

    /** A name in the table of names, up to a slash and a newline. */
    private String longName(String field, int at) throws IOException {
        int colon = field.indexOf(':'); // behind it, where the member was in an archive of its own
        int from = number(colon < 0 ? field : field.substring(0, colon), at);
        if (from >= longNames.size()) {
            throw damaged(at, "its name is at " + from + " of " + longNames.size() + " bytes");
        }
        int end = longNames.indexOf((byte) '\n', from);
        String name = longNames.slice(from, (end < 0 ? longNames.size() : end) - from).toLatin1();
        return name.endsWith("/") ? name.substring(0, name.length() - 1) : name;
    }

    private long size(int at) throws IOException {
        return number(text(at + SIZE_AT, 10).stripTrailing(), at);
    }

    private int number(String digits, int at) throws IOException {
        if (!digits.matches("[0-9]{1,10}") || Long.parseLong(digits) > Integer.MAX_VALUE) {
            throw damaged(at, "there is no number: " + digits);
        }
        return (int) Long.parseLong(digits);
    }

    private String text(int at, int length) {
        return bytes.slice(at, length).toLatin1();
    }

    private IOException damaged(int at, String what) {
        return new IOException("%s: offset 0x%x: %s".formatted(archive, at, what));
    }
}
