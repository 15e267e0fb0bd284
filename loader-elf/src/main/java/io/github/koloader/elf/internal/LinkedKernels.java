package io.github.koloader.elf.internal;

import io.github.koloader.ExportedSymbol;
import io.github.koloader.InitcallLevel;
import io.github.koloader.KernelSymbolTable;
import io.github.koloader.KernelVersion;
import io.github.koloader.LinkedKernel;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.image.Bytes;
import io.github.koloader.memory.AddressRange;
import java.io.IOException;
import java.util.Optional;
import java.util.Set;

/** Puts together what a linked kernel's image tells. */
public final class LinkedKernels {
    private LinkedKernels() {}

    /**
     * Reads a kernel's file.
     *
     * @param file all of its bytes
     * @param name name of the file, for messages
     * @throws IOException if it is no kernel that is known here, or broken
     */
    public static LinkedKernel read(Bytes file, String name) throws IOException {
        try {
            return readFile(file, name);
        } catch (OutOfMemoryError e) {
            throw new IOException(name + ": too large to be read here", e);
        }
    }

    private static LinkedKernel readFile(Bytes file, String name) throws IOException {
        LinkedImages.Unpacked unpacked = LinkedImages.unpack(file, name);
        Bytes kernel = unpacked.file();
        LinkedImage image = unpacked.image();
        KernelSymbolTable symbols =
                LinkedElf.isElf(kernel)
                        ? ElfSymbols.read(kernel, image, name)
                        : KernelSymbolTable.EMPTY;
        if (symbols.count() == 0) {
            symbols = KallsymsDecoder.decode(image).orElse(symbols);
        }
        return read(image, symbols, name);
    }

    /**
     * Reads a kernel's image.
     *
     * @param image its bytes at their addresses
     * @param symbols what symbols are known; possibly none
     * @param name name of the file, for messages
     * @throws IOException if its architecture is not known here
     */
    public static LinkedKernel read(LinkedImage image, KernelSymbolTable symbols, String name)
            throws IOException {
        Architecture architecture =
                Architectures.forMachine(image.elfMachine(), image.encoding())
                        .orElseThrow(
                                () ->
                                        new IOException(
                                                name
                                                        + ": a kernel for "
                                                        + Architectures.machineName(
                                                                image.elfMachine())
                                                        + ", which is not known here"));
        LinkedKernel.Builder kernel = LinkedKernel.builder(architecture).symbols(symbols);
        if (symbols.count() == 0) {
            kernel.unknown("Symbols: the image has no table of them.");
        }
        SymbolIndex index = new SymbolIndex(symbols, image.elfMachine());
        CodeRanges code = new CodeRanges(image, index);

        InitcallTables initcalls = new InitcallTables(image, index, code).read();
        initcalls.calls().forEach(kernel::initcall);
        initcalls.unknown().forEach(kernel::unknown);
        if (!initcalls.formsKnown()) {
            kernel.initcallFormsUnknown();
        }

        ExportTables exports = new ExportTables(image, index).read();
        exports.exports().forEach(kernel::export);
        exports.unknown().forEach(kernel::unknown);

        MemoryMap memory = new MemoryMap(image, index, initcalls.range(), architecture.pageSize());
        memory.blocks().forEach(kernel::block);
        memory.initArea().ifPresent(kernel::initArea);

        RecordTables records = new RecordTables(image, index, code);
        Optional<AddressRange> parameters = records.parameters();
        parameters.ifPresentOrElse(
                kernel::parameterTable,
                () -> kernel.unknown("Parameters: nothing tells where __param is."));
        parameters
                .flatMap(table -> memory.behind(table, architecture.pageSize()))
                .ifPresent(kernel::block);
        memory.unknown().forEach(kernel::unknown);
        records.setup(initcalls.range())
                .ifPresentOrElse(
                        kernel::setupTable,
                        () -> kernel.unknown("Options: nothing tells where .init.setup is."));

        texts(image, index, exports, kernel);
        if (mayHoldSecurityCalls(kernel.build(), image, index)) {
            kernel.unknown(
                    "Initcalls: which of those behind the last level are of security frameworks,"
                            + " as kernels before 5.0 have them: there are no symbols of their"
                            + " bounds; all count as those of consoles.");
        }
        LinkedKernel made = kernel.build();
        if (symbols.count() == 0
                && made.banner().isEmpty()
                && made.initcalls().isEmpty()
                && made.exports().isEmpty()) {
            throw new IOException(
                    name
                            + ": no kernel: it has no version line, no symbols, and neither"
                            + " initcalls nor exports are found");
        }
        return made;
    }

    private static void texts(
            LinkedImage image,
            SymbolIndex symbols,
            ExportTables exports,
            LinkedKernel.Builder kernel) {
        ImageTexts texts = new ImageTexts(image);
        Optional<String> banner = texts.banner(symbols);
        if (banner.isEmpty()) {
            kernel.unknown(
                    "Version and vermagic: there is no text \"Linux version …\" in the image.");
            return;
        }
        kernel.banner(banner.get());
        Set<String> vermagics = texts.vermagics(ImageTexts.release(banner.get()));
        if (vermagics.size() != 1) {
            kernel.unknown(
                    "Vermagic: "
                            + (vermagics.isEmpty() ? "no text" : "more than one text")
                            + " in the image looks like one of this release.");
            return;
        }
        String vermagic = vermagics.iterator().next();
        kernel.vermagic(vermagic);
        boolean versions = exports.exports().stream().anyMatch(LinkedKernels::hasCrc);
        if (vermagic.contains("modversions") && !versions) {
            kernel.unknown("Exports: CRCs: the tables of them were not found.");
        }
    }

    /** Up to 4.20 the calls of security frameworks follow those of consoles. */
    private static boolean mayHoldSecurityCalls(
            LinkedKernel kernel, LinkedImage image, SymbolIndex symbols) {
        boolean bounded =
                symbols.address("__con_initcall_end").isPresent()
                        || image.section(InitcallLevel.CONSOLE.sectionName()).isPresent();
        return !bounded
                && kernel.initcalls().stream().anyMatch(c -> c.level() == InitcallLevel.CONSOLE)
                && !kernel.release()
                        .map(release -> KernelVersion.parse(release).atLeast(5, 0))
                        .orElse(false);
    }

    private static boolean hasCrc(ExportedSymbol export) {
        return export.crc().isPresent();
    }
}
