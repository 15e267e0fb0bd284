package io.github.koloader.elf.internal;

import io.github.koloader.KernelSymbolTable;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.Encoding;
import io.github.koloader.memory.Address;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * The symbol table of a linked kernel's ELF file, in the order that the kernel's own table would
 * have: by address, and at one address strong before weak, what a linker script may have made
 * behind the rest, then by number of leading underscores.
 *
 * @kernel scripts/kallsyms.c, compare_symbols()
 */
final class ElfSymbols {

    private static final int SHT_SYMTAB = 2;
    private static final int SHN_ABS = 0xfff1;
    private static final int SHN_LORESERVE = 0xff00;
    private static final int SHN_XINDEX = 0xffff;
    private static final int STT_SECTION = 3;
    private static final int STT_FILE = 4;
    private static final int STB_LOCAL = 0;
    private static final int STB_WEAK = 2;
    private static final int EM_ARM = 40;
    private static final int SHT_NOBITS = 8;
    private static final int SHF_WRITE = 1;
    private static final int SHF_ALLOC = 2;
    private static final int SHF_EXECINSTR = 4;

    /** Characters of all names for each of the table of names: a few symbols share one. */
    private static final long SHARED = 8;

    private record Found(long address, char letter, String name) {}

    private static final Comparator<Found> ORDER =
            Comparator.<Found>comparingLong(symbol -> symbol.address() ^ Long.MIN_VALUE)
                    .thenComparing(symbol -> "wWvV".indexOf(symbol.letter()) >= 0)
                    .thenComparing(symbol -> madeByScript(symbol.name()))
                    .thenComparingInt(symbol -> underscores(symbol.name()))
                    .thenComparing(Found::name);

    private final Bytes file;
    private final String source;
    private final Encoding encoding;
    private final int machine;
    private final long headers;
    private final int count;

    private ElfSymbols(Bytes file, String source, Encoding encoding, int machine) {
        this.file = file;
        this.source = source;
        this.encoding = encoding;
        this.machine = machine;
        this.headers = file.readWord(ElfConstants.shoffAt(encoding), encoding);
        int fits = room();
        int inHeader = file.unsignedShort(ElfConstants.shnumAt(encoding), encoding);
        long real = inHeader == 0 && fits > 0 ? word(0, 8 + 3 * encoding.wordSize()) : inHeader;
        this.count = (int) Math.min(Math.max(real, 0), fits);
    }

    /** How many section headers the file has room for. */
    private int room() {
        return headers <= 0 || headers > file.size()
                ? 0
                : (int) ((file.size() - headers) / ElfConstants.sectionHeaderSize(encoding));
    }

    /**
     * Reads the first symbol table of a file that is known to be a linked kernel.
     *
     * @param file the whole ELF file, at least a header
     * @param image what was read from it
     * @param source name of the file, for messages
     * @return no symbols where it has no table
     * @throws IOException if the table or its names lie outside of the file
     */
    static KernelSymbolTable read(Bytes file, LinkedImage image, String source) throws IOException {
        return new ElfSymbols(file, source, image.encoding(), image.elfMachine()).read();
    }

    private KernelSymbolTable read() throws IOException {
        for (int section = 1; section < count; section++) {
            if (type(section) == SHT_SYMTAB) {
                int names = (int) word32(section, linkAt());
                if (names <= 0 || names >= count) {
                    throw new IOException(
                            at(section) + "the symbols' names are in section " + names);
                }
                return read(contents(section), contents(names), at(section));
            }
        }
        return KernelSymbolTable.EMPTY;
    }

    private KernelSymbolTable read(Bytes table, Bytes names, String where) throws IOException {
        List<Found> found = new ArrayList<>();
        int size = encoding.symbolSize();
        if (names.isEmpty() || names.get(names.size() - 1) != 0) {
            throw new IOException(where + "the symbols' names do not end");
        }
        long characters = 0;
        for (int i = 1; i < table.size() / size; i++) {
            int entry = i * size;
            long name = table.readInt(entry, encoding) & 0xffff_ffffL;
            if (name >= names.size()) {
                throw new IOException(where + "the name of symbol " + i + " is outside");
            }
            int info = table.get(entry + (encoding.wide() ? 4 : 12));
            int place = table.unsignedShort(entry + (encoding.wide() ? 6 : 14), encoding);
            long value = table.readWord(entry + (encoding.wide() ? 8 : 4), encoding);
            int kind = info & 0xf;
            int length = lengthOf(names, (int) name);
            if (place == 0
                    || kind == STT_SECTION
                    || kind == STT_FILE
                    || length == 0
                    || length > ImageTexts.LONGEST_SYMBOL
                    || place >= SHN_LORESERVE && place != SHN_ABS && place != SHN_XINDEX) {
                continue;
            }
            characters += length;
            if (characters > SHARED * names.size() + (1 << 16)) {
                throw new IOException(where + "the symbols' names lie in each other");
            }
            String text = names.slice((int) name, length).toLatin1();
            if (isMark(text) || place != SHN_ABS && place < count && !allocated(place)) {
                continue;
            }
            boolean thumb = machine == EM_ARM && kind == 2;
            found.add(new Found(thumb ? value & ~1L : value, letter(info, place), text));
        }
        found.sort(ORDER);
        KernelSymbolTable.Builder builder = KernelSymbolTable.builder();
        for (Found symbol : found) {
            builder.symbol(new Address(symbol.address()), symbol.letter(), symbol.name());
        }
        return builder.build();
    }

    /** Characters of a name, as far as they are looked at: some more than a kernel keeps. */
    private static int lengthOf(Bytes names, int from) {
        int most = Math.min(ImageTexts.LONGEST_SYMBOL + 1, names.size() - from);
        return names.slice(from, most).textLength(0);
    }

    /** Names that kernels do not keep: marks of the assembler, and what exports are made of. */
    private static boolean isMark(String name) {
        return name.startsWith("$")
                || name.startsWith(".L")
                || name.startsWith("__crc_")
                || name.startsWith("__kstrtab_")
                || name.startsWith("__kstrtabns_");
    }

    private static boolean madeByScript(String name) {
        return name.length() >= 8
                && name.startsWith("__")
                && (name.startsWith("start_", 2)
                        || name.startsWith("stop_", 2)
                        || name.startsWith("end_", 2)
                        || name.endsWith("_start")
                        || name.endsWith("_end"));
    }

    private static int underscores(String name) {
        int count = 0;
        while (count < name.length() && name.charAt(count) == '_') {
            count++;
        }
        return count;
    }

    private boolean allocated(int section) {
        return (word(section, 8) & SHF_ALLOC) != 0;
    }

    private char letter(int info, int place) {
        int binding = info >> 4 & 0xf;
        if (binding == STB_WEAK) {
            return (info & 0xf) == 1 ? 'V' : 'W';
        }
        char letter;
        if (place == SHN_ABS || place >= count) {
            letter = 'a';
        } else {
            long flags = word(place, 8);
            letter =
                    (flags & SHF_EXECINSTR) != 0
                            ? 't'
                            : type(place) == SHT_NOBITS
                                    ? 'b'
                                    : (flags & SHF_WRITE) != 0 ? 'd' : 'r';
        }
        return binding == STB_LOCAL ? letter : Character.toUpperCase(letter);
    }

    private Bytes contents(int section) throws IOException {
        long offset = word(section, 8 + 2 * encoding.wordSize());
        long size = word(section, 8 + 3 * encoding.wordSize());
        if (offset < 0 || size < 0 || size > file.size() || offset > file.size() - size) {
            throw new IOException(at(section) + "the section is not in the file");
        }
        return file.slice((int) offset, (int) size);
    }

    private int linkAt() {
        return 8 + 4 * encoding.wordSize();
    }

    private int type(int section) {
        return (int) word32(section, 4);
    }

    private long word32(int section, int field) {
        return file.readInt(header(section) + field, encoding);
    }

    private long word(int section, int field) {
        return file.readWord(header(section) + field, encoding);
    }

    private int header(int section) {
        return (int) headers + section * ElfConstants.sectionHeaderSize(encoding);
    }

    private String at(int section) {
        return source + ": offset " + header(section) + ": ";
    }
}
