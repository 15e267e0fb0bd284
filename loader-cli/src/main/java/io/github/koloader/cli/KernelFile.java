package io.github.koloader.cli;

import io.github.koloader.ExportedSymbol;
import io.github.koloader.Initcall;
import io.github.koloader.KernelSymbolTable;
import io.github.koloader.LinkedKernel;
import io.github.koloader.elf.VmlinuxReader;
import io.github.koloader.elf.kernel.InitcallSymbols;
import io.github.koloader.elf.kernel.SystemMap;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * A kernel to list: a linked one, or what its map of symbols tells of it.
 *
 * @param file name of the file
 * @param banner its version line, if it is in the file
 * @param architecture its architecture, if that is known
 * @param wordSize bytes of an address
 * @param symbols all symbols
 * @param exports what it exports; empty if the file does not tell
 * @param initcalls its initcalls in running order
 * @param formsKnown whether the levels of initcalls tell sync and rootfs forms
 * @param unknown what could not be known, one sentence each
 */
record KernelFile(
        Path file,
        Optional<String> banner,
        Optional<String> architecture,
        int wordSize,
        KernelSymbolTable symbols,
        List<ExportedSymbol> exports,
        List<Initcall> initcalls,
        boolean formsKnown,
        List<String> unknown) {
    /** Reads whatever has a kernel's symbols or tables in it. */
    static KernelFile read(Path file) throws IOException {
        try {
            return SystemMap.isOne(file)
                    ? of(file, SystemMap.read(file))
                    : of(file, VmlinuxReader.read(file));
        } catch (FileSystemException e) {
            throw e; // names the file itself
        } catch (IOException e) {
            throw named(file, e);
        }
    }

    /** The failure with the name of the file, and fit for a line. */
    static IOException named(Path file, IOException e) {
        String message = String.valueOf(e.getMessage());
        String begin = file + ":";
        String reason = message.startsWith(begin) ? message.substring(begin.length()) : message;
        return new FileSystemException(
                file.toString(), null, Output.printable(reason.strip().replace("\n", "; ")));
    }

    private static KernelFile of(Path file, SystemMap map) {
        InitcallSymbols initcalls = map.initcalls();
        List<String> unknown = new ArrayList<>(initcalls.unknown());
        unknown.add("Exports: licences, namespaces and CRCs: a map of symbols has none.");
        return new KernelFile(
                file,
                Optional.empty(),
                Optional.empty(),
                map.wordSize(),
                map.table(),
                map.exports(),
                initcalls.initcalls(),
                true,
                unknown);
    }

    private static KernelFile of(Path file, LinkedKernel kernel) {
        return new KernelFile(
                file,
                kernel.banner(),
                Optional.of(kernel.architecture().name()),
                kernel.architecture().encoding().wordSize(),
                kernel.symbols(),
                kernel.exports(),
                kernel.initcalls(),
                kernel.initcallFormsKnown(),
                kernel.unknown());
    }

    /**
     * Tells standard error what could not be known.
     *
     * @param besides topics, with which sentences begin, that were not asked for
     */
    void tellUnknown(Output output, String... besides) {
        for (String sentence : unknown) {
            if (Arrays.stream(besides).noneMatch(topic -> sentence.startsWith(topic + ":"))) {
                output.error(
                        "koloader: "
                                + Output.bytesOf(file.toString())
                                + ": not known: "
                                + Output.utf8(Output.printable(sentence)));
            }
        }
    }
}
