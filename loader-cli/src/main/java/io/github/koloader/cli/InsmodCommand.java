package io.github.koloader.cli;

import io.github.koloader.Errno;
import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.KernelSymbols;
import io.github.koloader.LoadException;
import io.github.koloader.LoadObserver;
import io.github.koloader.Module;
import io.github.koloader.arch.Architecture;
import io.github.koloader.elf.KoReader;
import io.github.koloader.elf.kernel.ModuleSymvers;
import io.github.koloader.elf.kernel.SystemMap;
import io.github.koloader.image.Bytes;
import io.github.koloader.image.ModuleImage;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import io.github.koloader.memory.FirstFitAllocator;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** {@code koloader insmod}: loads one module and shows what happened. */
@Command(
        name = "insmod",
        mixinStandardHelpOptions = true,
        versionProvider = Main.Version.class,
        description = {
            "Loads a module and shows what happened.",
            "",
            "Prints the kernel's log, where each section went, and what was resolved. The call of"
                    + " init",
            "is recorded and answered with 0: no machine code runs.",
            "",
            "By default the kernel is the one that the module was built for, and is permissive:"
                    + " what",
            "nobody exports gets an address of its own (a stub), so that a lone file loads.%n"
        },
        footer = {
            "",
            "Exit status: 0 loaded; 1 refused, or a file could not be read; 2 wrong usage."
        })
final class InsmodCommand implements Callable<Integer> {
    @ParentCommand private Main main;

    @Spec private CommandSpec spec;

    @Parameters(index = "0", paramLabel = "FILE", description = "The module; may be packed.")
    private Path file;

    @Parameters(
            index = "1..*",
            arity = "0..*",
            paramLabel = "name=value",
            description = "Parameters of the module. A name alone sets a flag.")
    private List<String> parameters = List.of();

    @Option(
            names = "--symvers",
            paramLabel = "FILE",
            description =
                    "Module.symvers: what the kernel exports, with CRCs, licence and namespaces.")
    private @Nullable Path symvers;

    @Option(
            names = "--system-map",
            paramLabel = "FILE",
            description =
                    "System.map or a copy of /proc/kallsyms: addresses of the kernel's symbols.")
    private @Nullable Path systemMap;

    @Option(
            names = "--release",
            paramLabel = "RELEASE",
            description =
                    "The kernel's release, such as 6.1.0-50-amd64, instead of the module's own.")
    private @Nullable String release;

    @Option(
            names = "--strict",
            description = "Refuse unknown symbols and another vermagic, as Linux does.")
    private boolean strict;

    @Option(
            names = "--with",
            paramLabel = "FILE",
            description = "Load this module before; may be repeated, the first is loaded first.")
    private List<Path> prerequisites = List.of();

    @Option(
            names = "--base",
            paramLabel = "ADDRESS",
            converter = AddressConverter.class,
            description = "First address for modules (hexadecimal) instead of the architecture's.")
    private @Nullable Address base;

    @Option(names = "--json", description = "Print one JSON object instead of text.")
    private boolean json;

    @Option(
            names = "--dump",
            paramLabel = "DIR",
            description = "Write each section as it is before init runs to a file named after it.")
    private @Nullable Path dump;

    /** Sections as they are when the module is formed, if they are to be written. */
    private @Nullable SectionDump sections;

    private boolean prerequisitesLoaded;

    @Override
    public Integer call() throws IOException {
        ModuleSymvers exports = symvers == null ? null : ModuleSymvers.read(symvers);
        SystemMap map = systemMap == null ? null : SystemMap.read(systemMap);
        sections = dump == null ? null : new SectionDump();
        LoadReport report = load(exports, map);
        if (sections != null && dump != null) {
            sections.write(dump);
        }
        Output output = main.output();
        if (json) {
            output.print(report.json());
        } else {
            output.print(report.text());
        }
        return report.failure().map(this::refused).orElse(0);
    }

    private int refused(LoadReport.Failure failure) {
        main.output().error("insmod: ERROR: " + failure.line());
        return 1;
    }

    private LoadReport load(@Nullable ModuleSymvers exports, @Nullable SystemMap map) {
        LoadReport report = new LoadReport(file);
        Path current = file;
        try {
            Bytes bytes = KoReader.any().unpackedBytes(file);
            Architecture architecture = architectureOf(bytes);
            KoReader reader = KoReader.of(architecture);
            ModuleImage image = reader.readImage(bytes);
            KernelConfig config = config(image);
            Kernel kernel =
                    kernel(architecture, config, symbols(architecture, config, exports, map));
            report.kernel(kernel);
            for (Path prerequisite : prerequisites) {
                current = prerequisite;
                kernel.load(reader.readImage(prerequisite), "");
            }
            current = file;
            prerequisitesLoaded = true;
            report.module(kernel.load(image, Output.bytesOf(String.join(" ", parameters))));
        } catch (LoadException e) {
            report.refused(current, e);
        } catch (IOException e) {
            report.unreadable(current, e);
        }
        return report;
    }

    private static Architecture architectureOf(Bytes bytes) {
        Optional<Architecture> architecture = KoReader.architectureOf(bytes);
        if (architecture.isPresent()) {
            return architecture.get();
        }
        ModuleImage image =
                KoReader.any().readImage(bytes); // whatever is wrong with it otherwise comes first
        throw LoadException.silent(
                Errno.ENOEXEC,
                "a module for ELF machine " + image.machine() + ", which is not modelled");
    }

    /** The kernel that was asked for, else the one that the module was built for. */
    private KernelConfig config(ModuleImage image) {
        KernelConfig config;
        if (release != null) {
            try {
                config = KernelConfig.forRelease(release);
            } catch (IllegalArgumentException e) {
                throw new ParameterException(
                        spec.commandLine(),
                        "Invalid value for option '--release': " + e.getMessage(),
                        e);
            }
        } else {
            config = ofModule(image);
        }
        return config.toBuilder().checkVermagic(strict).build();
    }

    private static KernelConfig ofModule(ModuleImage image) {
        try {
            return image.modinfo()
                    .firstRaw("vermagic")
                    .map(KernelConfig::forVermagic)
                    .orElseGet(KernelConfig::linux6_1);
        } catch (IllegalArgumentException e) {
            return KernelConfig.linux6_1(); // a vermagic that names no release: any kernel will do
        }
    }

    private static KernelSymbols symbols(
            Architecture architecture,
            KernelConfig config,
            @Nullable ModuleSymvers exports,
            @Nullable SystemMap map) {
        if (exports != null) {
            return map == null
                    ? exports.symbols(architecture, config)
                    : exports.symbols(architecture, config, map::address);
        }
        return map == null ? KernelSymbols.none() : map.symbols();
    }

    private Kernel kernel(Architecture architecture, KernelConfig config, KernelSymbols symbols) {
        Kernel.Builder kernel =
                Kernel.builder(architecture)
                        .config(config)
                        .symbols(symbols)
                        .observer(this::reached);
        if (strict) {
            kernel.strict();
        }
        if (base != null) {
            kernel.allocator(
                    new FirstFitAllocator(
                            List.of(moduleArea(architecture, config, base)),
                            architecture.imageArea(config),
                            architecture.perCpuArea(config),
                            architecture.pageSize()));
        }
        return kernel.build();
    }

    private void reached(LoadObserver.Point point, Module module) {
        if (sections != null && prerequisitesLoaded && point == LoadObserver.Point.FORMED) {
            sections.take(module);
        }
    }

    /**
     * From {@code first} on: to the end of the architecture's area if it lies in there, else as
     * large as that.
     */
    private AddressRange moduleArea(Architecture architecture, KernelConfig config, Address first) {
        AddressRange area = architecture.moduleAreas(config).get(0);
        long limit = architecture.encoding().wide() ? -first.value() : (1L << 32) - first.value();
        boolean tooHigh = !architecture.encoding().wide() && first.value() >>> 32 != 0;
        if (tooHigh || first.isNull() || first.value() % architecture.pageSize() != 0) {
            throw new ParameterException(
                    spec.commandLine(),
                    "Invalid value for option '--base': %s is not the address of a page of %d bytes"
                            .formatted(first, architecture.pageSize()));
        }
        if (area.contains(first)) {
            return new AddressRange(first, area.end().minus(first));
        }
        long size = Long.compareUnsigned(limit, area.size()) < 0 ? limit : area.size();
        return new AddressRange(first, size);
    }

    /** Reads an address. */
    static final class AddressConverter implements ITypeConverter<Address> {
        @Override
        public Address convert(String value) {
            try {
                return Address.parse(value);
            } catch (NumberFormatException e) {
                throw new TypeConversionException("'" + value + "' is not a hexadecimal address");
            }
        }
    }
}
