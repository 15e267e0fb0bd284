package io.github.koloader.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.mutation.annotation.NotNull;
import io.github.koloader.ExportedSymbol;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.KernelSymbols;
import io.github.koloader.LoadException;
import io.github.koloader.LoadRequest;
import io.github.koloader.Module;
import io.github.koloader.SysfsTree;
import io.github.koloader.arch.Architecture;
import io.github.koloader.elf.KoReader;
import io.github.koloader.elf.SystemCalls;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.image.SymbolTable;
import io.github.koloader.image.VersionTable;
import io.github.koloader.memory.Address;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * A kernel that a fuzzer chooses, and a load into it.
 *
 * @param release which preset
 * @param call how the module is handed over
 * @param switches one bit for each option, from {@link #config}
 * @param flags of finit_module
 * @param initResult what init functions return
 */
public record FuzzedKernel(
        @NotNull Release release, @NotNull Call call, int switches, byte flags, short initResult) {
    /** A preset. New ones come last. */
    public enum Release {
        LINUX_6_1(KernelConfig.linux6_1()),
        LINUX_3_10(KernelConfig.linux3_10()),
        LINUX_6_12(KernelConfig.linux6_12());

        final KernelConfig config;

        Release(KernelConfig config) {
            this.config = config;
        }
    }

    /** How a module is handed over. New ones come last. */
    public enum Call {
        LOAD,
        INIT_MODULE,
        FINIT_MODULE
    }

    /** What all modules together may take. */
    private static final long MEMORY_LIMIT = 16 << 20;

    /** A packed module may become so large. */
    static final long FILE_LIMIT = 4 << 20;

    private static final Map<Seed.Tree, Map<String, ExportedSymbol>> SYMBOLS =
            new ConcurrentHashMap<>();

    private static @Nullable Path file;

    private boolean is(int bit) {
        return (switches >> bit & 1) != 0;
    }

    /** With no bit set, the preset as it takes every module. */
    private KernelConfig config(Architecture architecture) {
        KernelConfig.Builder builder = release.config.toBuilder().checkVermagic(is(0));
        if (is(1)) {
            builder.modversions(!release.config.modversions());
        }
        if (is(2)) {
            builder.forceLoad(!release.config.forceLoad());
        }
        if (is(3)) {
            builder.moduleSig(!release.config.moduleSig());
        }
        if (is(4)) {
            builder.kallsyms(!release.config.kallsyms());
        }
        if (is(5)) {
            builder.strictModuleRwx(!release.config.strictModuleRwx());
        }
        if (is(6)) {
            builder.allowMissingNamespaceImports(!release.config.allowMissingNamespaceImports());
        }
        if (is(7)) {
            builder.livepatch(!release.config.livepatch(architecture));
        }
        if (is(8)) {
            builder.retpolineNeeded(!release.config.retpolineNeeded());
        }
        if (is(9)) {
            builder.modUnload(!release.config.modUnload());
        }
        if (is(10)) {
            builder.dynamicDebug(!release.config.dynamicDebug());
        }
        if (is(11)) {
            builder.cpus(3);
        }
        if (is(12)) {
            builder.moduleCompression("xz");
        }
        if (is(13)) {
            builder.sigEnforce(true);
        }
        if (is(14)) {
            builder.kallsymsAll(true);
        }
        if (is(15)) {
            builder.missingVersion(KernelConfig.MissingVersion.values()[is(16) ? 0 : 1]);
        }
        if (is(17)) {
            builder.lockdown(true);
        }
        // Without it modules that have no exit function stay, and so would their memory.
        return builder.forceUnload(true).build();
    }

    /**
     * Loads a file and takes it off again. The kernel must be as it was before, and nothing but
     * {@link LoadException} may come out.
     *
     * @param architecture of the kernel
     * @param tree whose modules it has, if it is not alone
     */
    void load(
            byte[] bytes, String parameters, Architecture architecture, Seed.@Nullable Tree tree) {
        KernelConfig config = config(architecture);
        CountingAllocator allocator =
                new CountingAllocator(Loads.allocator(architecture, config, 0));
        Kernel.Builder builder =
                Kernel.builder(architecture)
                        .config(config)
                        .allocator(allocator)
                        .memoryLimit(MEMORY_LIMIT)
                        .executor(call -> initResult);
        if (is(24)) {
            builder.strict();
        }
        List<String> names = new ArrayList<>();
        if (tree != null) {
            builder.symbols(symbols(tree));
            names.addAll(List.of("kofix_add", "kofix_sub", "kofix_counter"));
        }
        Kernel kernel = builder.build();
        if (tree != null && is(25)) {
            try {
                kernel.load(Seed.exporter(tree), "");
            } catch (LoadException e) {
                assertThat(kernel.modules()).isEmpty();
            }
        }
        KernelSnapshot before = KernelSnapshot.of(kernel, allocator, names);
        Optional<String> loaded = loadedBy(kernel, bytes, parameters);
        if (loaded.isPresent()) {
            Module module = kernel.module(loaded.get()).orElseThrow();
            look(kernel, module);
            if (!config.modUnload()) {
                return;
            }
            try {
                kernel.unload(module.name());
            } catch (LoadException e) {
                kernel.forceUnload(module.name());
            }
        }
        KernelSnapshot after = KernelSnapshot.of(kernel, allocator, names);
        if (loaded.isPresent()) {
            // Addresses that a permissive kernel has made up are for all that come later.
            assertThat(after.withRest(before.rest())).isEqualTo(before);
        } else {
            assertThat(after).isEqualTo(before);
        }
    }

    /** The name of the module; empty if it was refused, or its init function has failed. */
    private Optional<String> loadedBy(Kernel kernel, byte[] bytes, String parameters) {
        SystemCalls calls = SystemCalls.of(kernel);
        List<Module> before = kernel.modules();
        if (call == Call.LOAD) {
            try {
                ModuleImage image =
                        KoReader.of(kernel.architecture(), kernel.config())
                                .withLimit(FILE_LIMIT)
                                .readImage(Bytes.wrap(bytes));
                return Optional.of(
                        kernel.load(
                                        image,
                                        new LoadRequest(
                                                parameters,
                                                (flags & 1) != 0,
                                                (flags & 2) != 0,
                                                (flags & 4) != 0))
                                .name());
            } catch (LoadException e) {
                assertThat(e.errnoNumber()).isPositive();
                assertThat(e.diagnosis().toString()).isNotEmpty();
                return Optional.empty();
            }
        }
        SystemCalls.Result result =
                call == Call.INIT_MODULE
                        ? calls.initModule(bytes, parameters)
                        : calls.finitModule(written(bytes), flags & 0xf, parameters);
        assertThat(result.ok()).isEqualTo(result.failure().isEmpty());
        if (!result.ok()) {
            assertThat(kernel.modules()).isEqualTo(before);
            return Optional.empty();
        }
        return Optional.of(kernel.modules().get(0).name());
    }

    private static Path written(byte[] bytes) {
        try {
            if (file == null) {
                file = Files.createTempFile("koloader-fuzz", ".ko");
                file.toFile().deleteOnExit();
            }
            return Files.write(file, bytes);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Everything that a module can be asked, and that is told of it. */
    private static void look(Kernel kernel, Module module) {
        for (int i = 0; i < module.blockAddresses().size(); i++) {
            if (module.blockPresent(i)) {
                assertThat(module.blockContents(i)).isNotNull();
            }
        }
        module.exports().forEach(export -> module.addressOf(export.name()));
        assertThat(module.toString()).contains(module.name());
        assertThat(module.layout().toString()).isNotNull();
        module.parameters().forEach(parameter -> assertThat(parameter).isNotNull());
        assertThat(kernel.procModules()).contains(module.name());
        assertThat(kernel.modulesLinkedIn()).contains(module.name());
        assertThat(kernel.kallsyms(module)).isNotNull();
        assertThat(kernel.taintLetters(module)).isNotNull();
        for (Address address : module.blockAddresses()) {
            kernel.symbolAt(address);
            kernel.moduleAt(address);
        }
        lookBelow(kernel.sysModule(), module.name());
    }

    private static void lookBelow(SysfsTree tree, String path) {
        for (SysfsTree.Entry entry : tree.list(path)) {
            switch (entry.kind()) {
                case DIRECTORY -> lookBelow(tree, entry.path());
                case FILE -> {
                    try {
                        tree.read(entry.path());
                    } catch (LoadException e) {
                        assertThat(e.errnoNumber()).isPositive();
                    }
                }
                case LINK -> assertThat(tree.target(entry.path())).isNotEmpty();
            }
        }
    }

    /** Whatever modules of that tree import, but from each other. */
    private static KernelSymbols symbols(Seed.Tree tree) {
        Map<String, ExportedSymbol> symbols =
                SYMBOLS.computeIfAbsent(tree, FuzzedKernel::importsOf);
        return name -> Optional.ofNullable(symbols.get(name));
    }

    private static Map<String, ExportedSymbol> importsOf(Seed.Tree tree) {
        Map<String, ExportedSymbol> symbols = new HashMap<>();
        Address next = tree.architecture.kernelText().start();
        for (Seed.Fixture fixture : Seed.Fixture.values()) {
            ModuleImage image = new Seed(tree, fixture).image();
            SymbolTable table = image.symbols();
            VersionTable versions = image.versions();
            for (int i = 1; i < table.count(); i++) {
                String name = table.name(i);
                if (table.sectionIndex(i) != SymbolTable.UNDEF || name.startsWith("kofix_")) {
                    continue;
                }
                int version = versions.indexOf(name);
                next = next.plus(16);
                symbols.put(
                        name,
                        new ExportedSymbol(
                                name,
                                next,
                                name.length() % 5 == 0,
                                "",
                                version < 0
                                        ? OptionalInt.empty()
                                        : OptionalInt.of((int) versions.crc(version))));
            }
        }
        return symbols;
    }
}
