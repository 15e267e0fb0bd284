package io.github.koloader.cli;

import io.github.koloader.image.ExportEntry;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.Section;
import io.github.koloader.image.SectionFlags;
import io.github.koloader.image.SectionType;
import io.github.koloader.image.Symbol;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.image.VersionTable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;

/** {@code koloader nm}: lists the symbols of a module file. */
@Command(
        name = "nm",
        mixinStandardHelpOptions = true,
        versionProvider = Main.Version.class,
        description = {
            "Lists the symbols of a module file.",
            "",
            "Sorted by name: value, type letter, name, and marks.",
            "Letters are those of nm: T code, D data, B data without bytes in the file, R"
                    + " read-only,",
            "N not in memory, A absolute, C common, U undefined, W and V weak; small ones are"
                    + " local",
            "(w and v: undefined or local). Values are offsets in the symbol's section.",
            "Marks: [export], [gpl] (only for GPL-compatible modules), [ns NAME], [crc 0x...]; of"
                    + " an",
            "undefined symbol, the CRC is the one that the module was built against.%n"
        },
        footer = {
            "",
            "Exit status: 0 done; 1 the file is no module, or could not be read; 2 wrong usage."
        })
final class NmCommand implements Callable<Integer> {
    private static final int FILE_SYMBOL = 4;

    @ParentCommand private Main main;

    @Parameters(paramLabel = "FILE", description = "The module; may be packed.")
    private Path file;

    @Override
    public Integer call() throws IOException {
        ModuleImage image = Main.read(file);
        SymbolTable symbols = image.symbols();
        Map<String, String> exports = exportMarks(image);
        Map<String, String> versions = versionMarks(image);
        String row = "%0" + 2 * image.encoding().wordSize() + "x";
        String blank = " ".repeat(2 * image.encoding().wordSize());
        StringBuilder text = new StringBuilder();
        for (int i : sorted(symbols)) {
            boolean defined = symbols.sectionIndex(i) != SymbolTable.UNDEF;
            String name = symbols.name(i);
            text.append(defined ? row.formatted(symbols.value(i)) : blank);
            text.append(' ').append(letter(image, i)).append(' ').append(Output.printable(name));
            text.append((defined ? exports : versions).getOrDefault(name, "")).append('\n');
        }
        main.output().print(text.toString());
        return 0;
    }

    /** Indexes of all symbols that have a name and are neither sections nor files. */
    private static List<Integer> sorted(SymbolTable symbols) {
        List<Integer> indexes = new ArrayList<>();
        for (int i = 1; i < symbols.count(); i++) {
            int type = symbols.type(i);
            if (symbols.nameLength(i) > 0 && type != Symbol.SECTION && type != FILE_SYMBOL) {
                indexes.add(i);
            }
        }
        indexes.sort(Comparator.comparing(symbols::name).thenComparing(Comparator.naturalOrder()));
        return indexes;
    }

    private static Map<String, String> exportMarks(ModuleImage image) {
        Map<String, String> marks = new HashMap<>();
        for (ExportEntry export : image.exports()) {
            String mark = export.gplOnly() ? " [export] [gpl]" : " [export]";
            if (!export.namespace().isEmpty()) {
                mark += " [ns " + Output.printable(export.namespace()) + "]";
            }
            if (export.crc().isPresent()) {
                mark += crc(export.crc().getAsInt());
            }
            marks.put(export.name(), mark);
        }
        return marks;
    }

    private static Map<String, String> versionMarks(ModuleImage image) {
        VersionTable versions = image.versions();
        Map<String, String> marks = new HashMap<>();
        for (int i = 0; i < versions.count(); i++) {
            marks.putIfAbsent(versions.name(i), crc((int) versions.crc(i)));
        }
        return marks;
    }

    private static String crc(int crc) {
        return " [crc 0x%08x]".formatted(crc);
    }

    private static char letter(ModuleImage image, int symbol) {
        SymbolTable symbols = image.symbols();
        int section = symbols.sectionIndex(symbol);
        boolean global = symbols.info(symbol) >>> 4 != 0;
        if (symbols.isWeak(symbol)) {
            char weak = symbols.type(symbol) == Symbol.OBJECT ? 'v' : 'w';
            return section == SymbolTable.UNDEF ? weak : Character.toUpperCase(weak);
        }
        if (section == SymbolTable.UNDEF) {
            return 'U';
        }
        char letter = '?';
        if (section == SymbolTable.ABS) {
            letter = 'a';
        } else if (section == SymbolTable.COMMON) {
            letter = 'c';
        } else if (section < image.sections().size()) {
            letter = letter(image.section(section));
        }
        return global ? Character.toUpperCase(letter) : letter;
    }

    private static char letter(Section section) {
        SectionFlags flags = section.flags();
        if (!flags.alloc()) {
            return 'n';
        }
        if (flags.has(SectionFlags.EXECINSTR)) {
            return 't';
        }
        if (section.type().equals(SectionType.NOBITS)) {
            return 'b';
        }
        return flags.has(SectionFlags.WRITE) ? 'd' : 'r';
    }
}
