package io.github.koloader.benchmarks;

import io.github.koloader.elf.KoReader;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Section;
import io.github.koloader.image.SymbolTable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import net.fornwall.jelf.ElfFile;
import net.fornwall.jelf.ElfRelocationAddend;
import net.fornwall.jelf.ElfRelocationAddendSection;
import net.fornwall.jelf.ElfSection;
import net.fornwall.jelf.ElfSymbol;
import net.fornwall.jelf.ElfSymbolTableSection;

/**
 * Walks over a list of modules, whose bytes are in memory: every section with its name, every
 * symbol with its name as a string, every relocation with offset, type, symbol and addend; with
 * this library or with jelf. Prints a line a pass, with a sum over all that was seen, which is the
 * same for both.
 */
public final class WalkPasses {
    private WalkPasses() {}

    /** Arguments: LIST, number of passes, {@code koloader} or {@code jelf}. */
    public static void main(String[] arguments) throws IOException {
        List<byte[]> files = new ArrayList<>();
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            files.add(Files.readAllBytes(Path.of(line)));
        }
        boolean jelf = arguments[2].equals("jelf");
        for (int pass = 1; pass <= Integer.parseInt(arguments[1]); pass++) {
            System.gc(); // outside of the time taken: the files' bytes are moved out of the way
            double cpu = Cpu.seconds();
            long start = System.nanoTime();
            long sum = 0;
            for (byte[] file : files) {
                sum += jelf ? walkJelf(file) : walk(file);
            }
            System.out.printf(
                    Locale.ROOT,
                    "pass=%d modules=%d sum=%016x wall_s=%.3f cpu_s=%.3f%n",
                    pass,
                    files.size(),
                    sum,
                    (System.nanoTime() - start) / 1e9,
                    Cpu.seconds() - cpu);
        }
    }

    private static long walk(byte[] file) {
        ModuleImage image = KoReader.any().readImage(Bytes.wrap(file));
        long sum = 0;
        for (Section section : image.sections()) {
            sum += section.name().hashCode() + section.size();
        }
        SymbolTable symbols = image.symbols();
        for (int i = 0; i < symbols.count(); i++) {
            sum += symbols.name(i).hashCode() + symbols.value(i);
        }
        for (RelocationTable table : image.relocations()) {
            sum += walk(table);
        }
        return sum;
    }

    private static long walk(RelocationTable table) {
        int chunk = Math.min(512, table.count());
        long[] offsets = new long[chunk];
        int[] types = new int[chunk];
        int[] symbols = new int[chunk];
        long[] addends = new long[chunk];
        long sum = 0;
        for (int from = 0; from < table.count(); from += chunk) {
            int number = Math.min(chunk, table.count() - from);
            table.read(from, number, offsets, types, symbols, addends);
            for (int i = 0; i < number; i++) {
                sum += offsets[i] + types[i] + symbols[i] + addends[i];
            }
        }
        return sum;
    }

    private static long walkJelf(byte[] bytes) {
        ElfFile file = ElfFile.from(bytes);
        long sum = 0;
        for (int i = 0; i < file.e_shnum; i++) {
            ElfSection section = file.getSection(i);
            String name = section.header.getName();
            sum += (name == null ? 0 : name.hashCode()) + section.header.sh_size;
            if (section instanceof ElfSymbolTableSection table) {
                for (ElfSymbol symbol : table.symbols) {
                    String symbolName = symbol.getName();
                    sum += (symbolName == null ? 0 : symbolName.hashCode()) + symbol.st_value;
                }
            } else if (section instanceof ElfRelocationAddendSection table) {
                for (ElfRelocationAddend entry : table.relocations) {
                    sum +=
                            entry.r_offset
                                    + (int) entry.getType()
                                    + entry.getSymbolIndex()
                                    + entry.r_addend;
                }
            }
        }
        return sum;
    }
}
