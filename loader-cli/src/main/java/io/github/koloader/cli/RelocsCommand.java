package io.github.koloader.cli;

import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.arch.RelocationType;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.RelocationTable;
import io.github.koloader.image.Symbol;
import io.github.koloader.image.SymbolTable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;

/** {@code koloader relocs}: lists the relocations of a module file. */
@Command(
        name = "relocs",
        mixinStandardHelpOptions = true,
        versionProvider = Main.Version.class,
        description = {
            "Lists the relocations of a module file.",
            "",
            "Table by table: offset in the section, type, symbol and addend. A type that the"
                    + " architecture's kernel refuses is a number.%n"
        },
        footer = {
            "",
            "Exit status: 0 done; 1 the file is no module, could not be read, or has no such"
                    + " section;",
            "2 wrong usage."
        })
final class RelocsCommand implements Callable<Integer> {
    @ParentCommand private Main main;

    @Parameters(paramLabel = "FILE", description = "The module; may be packed.")
    private Path file;

    @Option(
            names = "--section",
            paramLabel = "NAME",
            description = "Only those of this section, such as .text.")
    private @Nullable String section;

    @Override
    public Integer call() throws IOException {
        ModuleImage image = Main.read(file);
        Architecture architecture =
                Architectures.forMachine(image.machine(), image.encoding()).orElse(null);
        String wanted = section == null ? null : Output.bytesOf(section);
        if (wanted != null && image.sectionIndex(wanted) == 0) {
            main.output()
                    .error("koloader: ERROR: " + Output.bytesOf(file + ": no section " + section));
            return 1;
        }
        boolean first = true;
        for (RelocationTable table : image.relocations()) {
            String target = sectionName(image, table.target());
            if (wanted == null || wanted.equals(target)) {
                main.output().print(first ? "" : "\n");
                print(image, table, target, architecture);
                first = false;
            }
        }
        return 0;
    }

    private void print(
            ModuleImage image,
            RelocationTable table,
            String target,
            @Nullable Architecture architecture) {
        Output output = main.output();
        output.print(
                "%s: %d %s of %s%n"
                        .formatted(
                                Output.printable(image.section(table.section()).name()),
                                table.count(),
                                table.count() == 1 ? "relocation" : "relocations",
                                Output.printable(target)));
        int width = 24;
        for (int i = 0; i < table.count(); i++) {
            width = Math.max(width, typeName(architecture, table.type(i)).length());
        }
        String offset = "%0" + 2 * image.encoding().wordSize() + "x  %-" + width + "s  %s\n";
        for (int i = 0; i < table.count(); i++) {
            output.print(
                    offset.formatted(
                            table.offset(i),
                            typeName(architecture, table.type(i)),
                            symbolAndAddend(image, table, i)));
        }
    }

    private static String typeName(@Nullable Architecture architecture, int code) {
        return Optional.ofNullable(architecture)
                .map(known -> known.relocationTypes().byCode(code))
                .map(RelocationType::name)
                .orElse(Integer.toUnsignedString(code));
    }

    private static String symbolAndAddend(ModuleImage image, RelocationTable table, int entry) {
        String symbol = symbolName(image, table.symbolIndex(entry));
        if (!table.hasAddends()) {
            return symbol; // the addend lies in the section
        }
        long addend = table.addend(entry);
        if (addend == 0) {
            return symbol;
        }
        return symbol
                + (addend < 0
                        ? " - 0x" + Long.toHexString(-addend)
                        : " + 0x" + Long.toHexString(addend));
    }

    /** The symbol's name; of a section's symbol, the section's. */
    private static String symbolName(ModuleImage image, int index) {
        SymbolTable symbols = image.symbols();
        if (index < 0 || index >= symbols.count()) {
            return "(symbol " + Integer.toUnsignedString(index) + ", which is not there)";
        }
        boolean ofSection = symbols.type(index) == Symbol.SECTION && symbols.nameLength(index) == 0;
        String name =
                ofSection ? sectionName(image, symbols.sectionIndex(index)) : symbols.name(index);
        return name.isEmpty() ? "(symbol " + index + ")" : Output.printable(name);
    }

    private static String sectionName(ModuleImage image, int index) {
        return index >= 0 && index < image.sections().size()
                ? image.section(index).name()
                : "(section " + index + ")";
    }
}
