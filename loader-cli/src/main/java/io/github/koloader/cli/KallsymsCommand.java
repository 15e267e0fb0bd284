package io.github.koloader.cli;

import io.github.koloader.ExportedSymbol;
import io.github.koloader.KernelSymbolTable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;

/** {@code koloader kallsyms}: lists the symbols that a kernel has in its image. */
@Command(
        name = "kallsyms",
        mixinStandardHelpOptions = true,
        versionProvider = Main.Version.class,
        description = {
            "Lists the symbols that a kernel has in its image, as its /proc/kallsyms shows them to"
                    + " root",
            "(at the addresses it was linked for, and without those of modules).%n"
        },
        footer = {
            "",
            "Exit status: 0 done; 1 there are none, or the file could not be read; 2 wrong usage.",
            "",
            "Examples:",
            "  koloader kallsyms /boot/vmlinuz > System.map",
            "  koloader kallsyms --exports /boot/vmlinuz"
        })
final class KallsymsCommand implements Callable<Integer> {
    @ParentCommand private Main main;

    @Parameters(
            paramLabel = "FILE",
            description =
                    "The kernel: vmlinux, vmlinuz, bzImage, Image, zImage; or a System.map, or a"
                            + " copy of /proc/kallsyms.")
    private Path file;

    @Option(
            names = "--exports",
            description =
                    "Only what the kernel exports, as in its tables of exports: address, name, and"
                            + " marks as nm prints them.")
    private boolean exports;

    @Override
    public Integer call() throws IOException {
        KernelFile kernel = KernelFile.read(file);
        String address = "%0" + 2 * kernel.wordSize() + "x ";
        int count = exports ? printExports(kernel, address) : printSymbols(kernel, address);
        kernel.tellUnknown(
                main.output(),
                exports ? "Symbols" : "Exports",
                "Initcalls",
                "Init area",
                "Memory",
                "Parameters",
                "Options",
                "Version",
                "Vermagic",
                "Version and vermagic");
        if (count == 0) {
            String what = exports ? ": no exports found" : ": no symbols found";
            main.output().error("koloader: ERROR: " + Output.bytesOf(file + what));
            return 1;
        }
        return 0;
    }

    private int printSymbols(KernelFile kernel, String address) {
        KernelSymbolTable symbols = kernel.symbols();
        for (int i = 0; i < symbols.count(); i++) {
            main.output()
                    .print(
                            address.formatted(symbols.address(i).value())
                                    + Output.printable(String.valueOf(symbols.letter(i)))
                                    + " "
                                    + Output.printable(symbols.name(i))
                                    + "\n");
        }
        return symbols.count();
    }

    private int printExports(KernelFile kernel, String address) {
        for (ExportedSymbol export : kernel.exports()) {
            StringBuilder line = new StringBuilder();
            line.append(address.formatted(export.address().value()));
            line.append(Output.printable(export.name()));
            line.append(export.gplOnly() ? " [gpl]" : "");
            if (!export.namespace().isEmpty()) {
                line.append(" [ns ").append(Output.printable(export.namespace())).append(']');
            }
            export.crc().ifPresent(crc -> line.append(" [crc 0x%08x]".formatted(crc)));
            main.output().print(line.append('\n').toString());
        }
        return kernel.exports().size();
    }
}
