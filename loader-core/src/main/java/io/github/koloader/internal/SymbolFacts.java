package io.github.koloader.internal;

import static io.github.koloader.Diagnosis.quote;

import io.github.koloader.Diagnosis;
import io.github.koloader.image.SymbolTable;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * What people are told about symbols that cannot be resolved, each for a reason of its own: of the
 * first few the reason and what to do, of the others how many they are.
 */
public final class SymbolFacts {
    private static final int SYMBOLS = 10;
    private static final int GUESSED = 5;

    private final KernelState kernel;
    private final String module;
    private final List<String> causes = new ArrayList<>();
    private final Set<String> advice = new LinkedHashSet<>();
    private String location = "";
    private int count;

    /** No facts yet about a module. */
    public SymbolFacts(KernelState kernel, String module) {
        this.kernel = kernel;
        this.module = module;
    }

    /** Whether another symbol is still of interest. */
    private boolean next(int symbol) {
        if (location.isEmpty()) {
            location = "symbol " + symbol + " of the symbol table";
        }
        return count++ < SYMBOLS;
    }

    private void add(String cause, String what) {
        causes.add(cause);
        advice.add(what);
    }

    private static String ownerOf(ExportIndex.Export export) {
        return export.owner == null ? "the kernel" : quote(export.owner.name + ".ko");
    }

    /** Nobody exports it. */
    public void unknown(SymbolTable symbols, int symbol) {
        if (!next(symbol)) {
            return;
        }
        String name = symbols.name(symbol);
        Optional<String> exporter = kernel.exports.exporterOf(name);
        if (exporter.isPresent()) {
            add(
                    quote(name)
                            + " is exported by "
                            + quote(exporter.get() + ".ko")
                            + ", which is not loaded.",
                    "Load " + quote(exporter.get() + ".ko") + " first, as `modprobe` does.");
            return;
        }
        List<String> similar = causes.size() < GUESSED ? kernel.exports.similarTo(name) : List.of();
        add(
                quote(name)
                        + " is exported by nobody."
                        + (similar.isEmpty()
                                ? ""
                                : " Similar names: "
                                        + String.join(
                                                ", ",
                                                similar.stream()
                                                        .map(one -> Diagnosis.quote(one))
                                                        .toList())
                                        + "."),
                "Load the module that exports it first (`modprobe` does, if depmod has run); if"
                        + " there is none, this kernel has dropped the symbol, or is built without"
                        + " the option that brings it.");
    }

    /** It is there, but not for this licence. */
    public void gplOnly(SymbolTable symbols, int symbol, ExportIndex.Export export) {
        if (next(symbol)) {
            add(
                    quote(symbols.name(symbol))
                            + " is exported GPL-only by "
                            + ownerOf(export)
                            + ", and this module counts as proprietary (licence "
                            + license()
                            + ").",
                    "Use another function, ask for a release under a licence that is compatible"
                            + " with the GPL, or, if it is, say so with MODULE_LICENSE().");
        }
    }

    private String license = "";

    /** What modinfo says of the licence; empty for nothing. */
    public void license(String newLicense) {
        this.license = newLicense;
    }

    private String license() {
        return license.isEmpty() ? "not given" : quote(license);
    }

    /** It belongs to a proprietary module, and this one uses GPL-only symbols. */
    public void ofProprietary(SymbolTable symbols, int symbol, String owner) {
        if (next(symbol)) {
            add(
                    quote(symbols.name(symbol))
                            + " is exported by the proprietary module "
                            + quote(owner + ".ko")
                            + ", and this module uses GPL-only symbols: both at once is refused.",
                    "Do without the one or the other, or put the exporting module under a licence"
                            + " that is compatible with the GPL.");
        }
    }

    /** Its CRC is another one. */
    public void otherCrc(int symbol, String name, ExportIndex.Export export, long there) {
        if (next(symbol)) {
            add(
                    otherCrc(name, export, there),
                    "Build the module for this kernel: its functions or structures have changed.");
        }
    }

    /** Says that a CRC is another one. */
    public static String otherCrc(String name, ExportIndex.Export export, long there) {
        return "The CRC of "
                + quote(name)
                + String.format(
                        java.util.Locale.ROOT,
                        " is 0x%08x here (%s), 0x%08x there (in the module).",
                        export.crc,
                        export.owner == null ? "in the kernel" : "in " + ownerOf(export),
                        there);
    }

    /** It has no CRC. */
    public void noCrc(int symbol, String name) {
        if (next(symbol)) {
            add(
                    noCrc(name),
                    "Build the module with this kernel's Module.symvers, so that modpost writes a"
                            + " CRC for each import.");
        }
    }

    /** Says that a CRC is missing. */
    public static String noCrc(String name) {
        return "The module has no CRC of " + quote(name) + " in its section `__versions`.";
    }

    /** Its namespace is not imported. */
    public void namespace(SymbolTable symbols, int symbol, ExportIndex.Export export) {
        if (next(symbol)) {
            String namespace = export.namespace;
            add(
                    quote(symbols.name(symbol))
                            + " is exported by "
                            + ownerOf(export)
                            + " in the namespace "
                            + quote(namespace)
                            + ", which this module does not import.",
                    "Add the line `MODULE_IMPORT_NS("
                            + (kernel.config.atLeast(6, 13) ? '"' + namespace + '"' : namespace)
                            + ");` to a source of the module.");
        }
    }

    /** Its owner is in a state in which it lends nothing. */
    public void ownerNotLive(SymbolTable symbols, int symbol, LoadedModule owner) {
        if (next(symbol)) {
            add(
                    quote(symbols.name(symbol))
                            + " is exported by "
                            + quote(owner.name + ".ko")
                            + ", which is "
                            + owner.state.text()
                            + ".",
                    "Load this module when the init function of the other has ended.");
        }
    }

    /** A COMMON symbol. */
    public void common(SymbolTable symbols, int symbol) {
        if (next(symbol)) {
            add(
                    quote(symbols.name(symbol)) + " is a variable without a section (COMMON).",
                    "Compile with `-fno-common`, as the kernel's build system does.");
        }
    }

    /** A symbol of a section that does not exist. */
    public void badSectionIndex(SymbolTable symbols, int symbol, int section) {
        if (next(symbol)) {
            add(
                    quote(symbols.name(symbol))
                            + " says that it lies in section "
                            + section
                            + ", which the file does not have.",
                    "The file is damaged, or a tool has changed it: take it anew from where it was"
                            + " built.");
        }
    }

    /** The diagnosis, of all that was found. */
    Diagnosis diagnosis() {
        List<String> lines = new ArrayList<>(causes);
        if (count > causes.size()) {
            lines.add("And " + (count - causes.size()) + " more symbols.");
        }
        if (lines.isEmpty()) {
            lines.add("Symbols of " + quote(module) + " cannot be resolved.");
        }
        return new Diagnosis(String.join("\n", lines), location, String.join("\n", advice));
    }
}
