package io.github.koloader.testkit;

import com.code_intelligence.jazzer.mutation.annotation.NotNull;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;

/**
 * One edit of a module file, by a fuzzer that mutates the fields of this record. Every record is an
 * edit: numbers that pick something are taken modulo what there is.
 *
 * @param place what is edited
 * @param entry picks the header, symbol, table or section
 * @param field picks the field, or the offset
 * @param change what becomes of its value
 * @param value what with
 */
public record FileEdit(
        @NotNull Place place, int entry, int field, @NotNull Change change, long value) {
    /** What is edited. New ones come last: the kept cases hold the position. */
    public enum Place {
        /** A field of the file header. */
        FILE_HEADER,
        /** A field of a section header. */
        SECTION_HEADER,
        /** A field of a symbol. */
        SYMBOL,
        /** A field of a relocation. */
        RELOCATION,
        /** A number among the bytes of a section. */
        SECTION_BYTES,
        /** A string of a section becomes one that the loader looks for. */
        STRING,
        /** Any number of the file. */
        ANY_BYTES,
        /** A number near the end, where a signature's trailer lies. */
        TAIL,
        /** The whole header of a section becomes another's. */
        HEADER_OF_ANOTHER,
        /** The file ends early. */
        CUT,
        /** Bytes in the middle, so that all behind them moves. */
        INSERT,
        /** A signature at the end. */
        SIGNATURE
    }

    /** What becomes of a number. New ones come last. */
    public enum Change {
        /** The value. */
        SET,
        /** The sum. */
        ADD,
        /** The exclusive or. */
        XOR,
        /** The same field of another entry. */
        TAKE,
        /** A number at which something ends. */
        LIMIT
    }

    /** A number in a file; offset and size in bytes. */
    private record Field(int offset, int size) {}

    private static final List<Field> HEADER_64 = fields(16, 2, 2, 4, 8, 8, 8, 4, 2, 2, 2, 2, 2, 2);
    private static final List<Field> HEADER_32 = fields(16, 2, 2, 4, 4, 4, 4, 4, 2, 2, 2, 2, 2, 2);
    private static final List<Field> SECTION_64 = fields(0, 4, 4, 8, 8, 8, 8, 4, 4, 8, 8);
    private static final List<Field> SECTION_32 = fields(0, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4);
    private static final List<Field> SYMBOL_64 = fields(0, 4, 1, 1, 2, 8, 8);
    private static final List<Field> SYMBOL_32 = fields(0, 4, 4, 4, 1, 1, 2);

    private static final List<String> WORDS =
            List.of(
                    "",
                    "=",
                    "GPL",
                    "Proprietary",
                    "license=GPL",
                    "license=",
                    "vermagic=",
                    "vermagic=6.1.0 SMP mod_unload",
                    "name=a",
                    "name=../../x",
                    "name=%s",
                    "depends=a,b,",
                    "import_ns=NS",
                    "intree=Y",
                    "staging=Y",
                    "livepatch=Y",
                    "retpoline=Y",
                    "test=Y",
                    "parm=a:int",
                    "parmtype=a:int",
                    ".init.text",
                    ".init",
                    ".exit",
                    ".modinfo",
                    "__versions",
                    "__version_ext_crcs",
                    "__version_ext_names",
                    ".gnu.linkonce.this_module",
                    "__ksymtab",
                    "__ksymtab_gpl",
                    "__kcrctab",
                    "__ksymtab_strings",
                    "__param",
                    "__modver",
                    "__obsparm",
                    "__ex_table",
                    "__bug_table",
                    "__jump_table",
                    "__dyndbg",
                    ".altinstructions",
                    ".data..percpu",
                    ".data..ro_after_init",
                    ".symtab",
                    ".strtab",
                    ".plt",
                    ".init.plt",
                    ".got",
                    ".ARM.exidx",
                    ".note.gnu.build-id",
                    ".toc",
                    ".opd",
                    ".BTF",
                    "init_module",
                    "cleanup_module",
                    "__this_module",
                    "_GLOBAL_OFFSET_TABLE_",
                    "module_layout",
                    "._bss");

    /** Everything behind the module of a signed one. */
    private static final byte[] SIGNATURE = signature();

    private static List<Field> fields(int at, int... sizes) {
        Field[] fields = new Field[sizes.length];
        int offset = at;
        for (int i = 0; i < sizes.length; i++) {
            fields[i] = new Field(offset, sizes[i]);
            offset += sizes[i];
        }
        return List.of(fields);
    }

    private static byte[] signature() {
        byte[] signed = Seed.bytes("x86_64/hello-signed.ko");
        int plain = Seed.bytes("x86_64/hello.ko").length;
        return Arrays.copyOfRange(signed, plain, signed.length);
    }

    /**
     * The file with that edit.
     *
     * @param file the file, with edits that kept everything in its place or not
     * @param original what it was before any edit: tells where things lie
     */
    byte[] apply(byte[] file, ModuleImage original) {
        if (file.length == 0 && place != Place.SIGNATURE) {
            return file;
        }
        Encoding encoding = original.encoding();
        int sections = original.sections().size();
        switch (place) {
            case FILE_HEADER -> {
                if (field % 5 == 4) { // one byte of e_ident
                    number(file, original, Math.floorMod(entry, 16), 1, Math.floorMod(entry, 16));
                } else {
                    Field of = pick(encoding.wide() ? HEADER_64 : HEADER_32, field);
                    number(file, original, of.offset, of.size, of.offset);
                }
            }
            case SECTION_HEADER ->
                    number(
                            file,
                            original,
                            pick(encoding.wide() ? SECTION_64 : SECTION_32, field),
                            headers(original),
                            headerSize(encoding),
                            sections);
            case SYMBOL ->
                    number(
                            file,
                            original,
                            pick(encoding.wide() ? SYMBOL_64 : SYMBOL_32, field),
                            original.section(original.symbolSection()).offset(),
                            encoding.symbolSize(),
                            original.symbols().count());
            case RELOCATION -> relocation(file, original);
            case SECTION_BYTES -> {
                Section section = original.section(Math.floorMod(entry, sections));
                inRange(file, original, section.offset(), section.contents().size());
            }
            case STRING -> string(file, original);
            case ANY_BYTES -> inRange(file, original, 0, file.length);
            case TAIL -> {
                int length = Math.min(64, file.length);
                inRange(file, original, file.length - length, length);
            }
            case HEADER_OF_ANOTHER -> {
                int size = headerSize(encoding);
                long from = headers(original) + Math.floorMod(value, (long) sections) * size;
                long to = headers(original) + (long) Math.floorMod(entry, sections) * size;
                if (Math.max(from, to) + size <= file.length) {
                    System.arraycopy(file, (int) from, file, (int) to, size);
                }
            }
            case CUT -> {
                return Arrays.copyOf(file, (int) Math.floorMod(value, (long) file.length));
            }
            case INSERT -> {
                int at = Math.floorMod(field, file.length);
                int size = (int) Math.floorMod(value, 4096L);
                byte[] longer = Arrays.copyOf(file, file.length + size);
                System.arraycopy(file, at, longer, at + size, file.length - at);
                return longer;
            }
            case SIGNATURE -> {
                byte[] longer = Arrays.copyOf(file, file.length + SIGNATURE.length);
                System.arraycopy(SIGNATURE, 0, longer, file.length, SIGNATURE.length);
                return longer;
            }
        }
        return file;
    }

    private void relocation(byte[] file, ModuleImage original) {
        List<RelocationTable> tables = original.relocations();
        if (tables.isEmpty()) {
            return;
        }
        RelocationTable table = tables.get(Math.floorMod(entry, tables.size()));
        boolean big = original.encoding().bigEndian();
        int word = original.encoding().wordSize();
        List<Field> fields =
                switch (table.format()) {
                    case REL32, RELA32 ->
                            List.of(
                                    new Field(0, 4),
                                    big ? new Field(7, 1) : new Field(4, 1),
                                    big ? new Field(4, 3) : new Field(5, 3),
                                    new Field(8, 4));
                    case REL64, RELA64 ->
                            List.of(
                                    new Field(0, 8),
                                    big ? new Field(12, 4) : new Field(8, 4),
                                    big ? new Field(8, 4) : new Field(12, 4),
                                    new Field(16, 8));
                    default ->
                            List.of(
                                    new Field(0, 8),
                                    new Field(15, 1),
                                    new Field(8, 4),
                                    new Field(14, 1),
                                    new Field(13, 1),
                                    new Field(12, 1),
                                    new Field(16, 8));
                };
        Field of = pick(table.hasAddends() ? fields : fields.subList(0, fields.size() - 1), field);
        number(
                file,
                original,
                Math.floorDiv(entry, tables.size()),
                of,
                original.section(table.section()).offset(),
                word * (table.hasAddends() ? 3 : 2),
                table.count());
    }

    /** The {@code field}th string of a section that has some. */
    private void string(byte[] file, ModuleImage original) {
        List<Section> sections =
                original.sections().stream()
                        .filter(
                                section ->
                                        !section.contents().isEmpty()
                                                && (section.name().contains("str")
                                                        || section.name().equals(".modinfo")
                                                        || section.name().equals("__versions")))
                        .toList();
        if (sections.isEmpty()) {
            return;
        }
        Section section = sections.get(Math.floorMod(entry, sections.size()));
        Bytes contents = section.contents();
        int[] starts =
                java.util.stream.IntStream.range(0, contents.size())
                        .filter(i -> contents.get(i) != 0 && (i == 0 || contents.get(i - 1) == 0))
                        .toArray();
        if (starts.length == 0) {
            return;
        }
        int at = (int) section.offset() + starts[Math.floorMod(field, starts.length)];
        byte[] word =
                WORDS.get((int) Math.floorMod(value, (long) WORDS.size()))
                        .getBytes(StandardCharsets.ISO_8859_1);
        for (int i = 0; i <= word.length && at + i < file.length; i++) {
            if (i == word.length) {
                if (change != Change.ADD) { // else the rest of the old string stays behind it
                    file[at + i] = 0;
                }
            } else {
                file[at + i] = word[i];
            }
        }
    }

    /** A number of 1, 2, 4 or 8 bytes somewhere in there. */
    private void inRange(byte[] file, ModuleImage original, long start, long length) {
        int size = 1 << Math.floorMod(field, 4);
        long places = length - size + 1;
        if (places > 0) {
            long at = start + Math.floorMod((long) Math.floorDiv(field, 4), places);
            number(file, original, at, size, start + Math.floorMod(value, places));
        }
    }

    private void number(
            byte[] file, ModuleImage original, Field of, long table, int entrySize, int count) {
        number(file, original, entry, of, table, entrySize, count);
    }

    private void number(
            byte[] file,
            ModuleImage original,
            int index,
            Field of,
            long table,
            int entrySize,
            int count) {
        if (count > 0) {
            number(
                    file,
                    original,
                    table + (long) Math.floorMod(index, count) * entrySize + of.offset,
                    of.size,
                    table + Math.floorMod(value, (long) count) * entrySize + of.offset);
        }
    }

    private void number(byte[] file, ModuleImage original, long at, int size, long other) {
        if (at + size > file.length || other + size > file.length) { // cut by an earlier edit
            return;
        }
        boolean big = original.encoding().bigEndian();
        long old = Words.read(file, (int) at, size, big);
        Words.write(
                file,
                (int) at,
                size,
                switch (change) {
                    case SET -> value;
                    case ADD -> old + value;
                    case XOR -> old ^ value;
                    case TAKE -> Words.read(file, (int) other, size, big);
                    case LIMIT -> limit(file.length, original);
                },
                big);
    }

    private long limit(int length, ModuleImage original) {
        int sections = original.sections().size();
        int symbols = original.symbols().count();
        long[] limits = {
            0,
            1,
            2,
            sections,
            symbols,
            length,
            headers(original),
            0xff00,
            0xff20,
            0xfff1,
            0xfff2,
            0xffff,
            1 << 12,
            1 << 16,
            1 << 20,
            1 << 24,
            1L << 31,
            1L << 32,
            1L << 47,
            1L << 48,
            Long.MIN_VALUE,
            original.section(original.symbolSection()).size(),
            original.encoding().symbolSize(),
            headerSize(original.encoding())
        };
        long limit = limits[(int) Math.floorMod(value, (long) limits.length)];
        return limit + Math.floorMod(value >> 8, 5L) - 2;
    }

    private static <T> T pick(List<T> from, int index) {
        return from.get(Math.floorMod(index, from.size()));
    }

    private static int headerSize(Encoding encoding) {
        return encoding.wide() ? 64 : 40;
    }

    /** Where the section headers lie: at the end, in a file as compiler and linker write it. */
    private static long headers(ModuleImage original) {
        return original.fileSize()
                - (long) original.sections().size() * headerSize(original.encoding());
    }
}
