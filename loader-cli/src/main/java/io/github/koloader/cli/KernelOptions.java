package io.github.koloader.cli;

import io.github.koloader.Kernel;
import io.github.koloader.KernelConfig;
import io.github.koloader.KernelSymbols;
import io.github.koloader.LinkedKernel;
import io.github.koloader.LoadObserver;
import io.github.koloader.arch.Architecture;
import io.github.koloader.elf.SystemCalls;
import io.github.koloader.elf.TrustedKeys;
import io.github.koloader.elf.VmlinuxReader;
import io.github.koloader.elf.kernel.ModuleSymvers;
import io.github.koloader.elf.kernel.SystemMap;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.AddressRange;
import io.github.koloader.memory.FirstFitAllocator;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** The options that say what kernel modules are loaded into. */
final class KernelOptions {
    @Spec(Spec.Target.MIXEE)
    private CommandSpec spec;

    @Option(
            names = "--kernel",
            paramLabel = "FILE",
            description =
                    "vmlinuz, vmlinux, Image or zImage of the kernel: its exports with CRCs, the addresses of"
                            + " all its symbols, its release, the certificates it trusts.")
    private @Nullable Path kernelFile;

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
            names = "--sig-enforce",
            description = "Refuse modules without a valid signature: module.sig_enforce=1.")
    private boolean sigEnforce;

    @Option(
            names = "--cert",
            paramLabel = "FILE",
            description =
                    "Certificate that the kernel trusts, PEM or DER; may be repeated. Modules signed"
                            + " by its key are not tainted.")
    private List<Path> certificates = List.of();

    @Option(
            names = "--base",
            paramLabel = "ADDRESS",
            converter = AddressConverter.class,
            description = "First address for modules (hexadecimal) instead of the architecture's.")
    private @Nullable Address base;

    private TrustedKeys keys = TrustedKeys.none();

    private @Nullable LinkedKernel linked;
    private @Nullable ModuleSymvers exports;
    private @Nullable SystemMap map;

    /** Reads the files that are named. */
    void readFiles() throws IOException {
        if (kernelFile != null) {
            linked = VmlinuxReader.read(kernelFile);
            keys = TrustedKeys.builtInto(linked);
        }
        exports = symvers == null ? null : ModuleSymvers.read(symvers);
        map = systemMap == null ? null : SystemMap.read(systemMap);
        for (Path certificate : certificates) {
            try {
                keys = keys.and(TrustedKeys.read(certificate));
            } catch (FileSystemException e) {
                throw e; // names the file itself
            } catch (IOException e) {
                throw new FileSystemException(certificate.toString(), null, e.getMessage());
            }
        }
    }

    /** The system calls of such a kernel, which trusts the certificates that are named. */
    SystemCalls calls(Kernel kernel) {
        return SystemCalls.of(kernel).trusting(keys).named("insmod");
    }

    /**
     * The configuration that was asked for, else that of the kernel's file, else that of the kernel
     * that a module was built for.
     *
     * @param vermagic the module's vermagic, if it has one
     */
    KernelConfig config(Optional<String> vermagic) {
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
            config = ofModule(linked == null ? vermagic : linked.vermagic().or(() -> vermagic));
        }
        return config.toBuilder().checkVermagic(strict).sigEnforce(sigEnforce).build();
    }

    private static KernelConfig ofModule(Optional<String> vermagic) {
        try {
            return vermagic.map(KernelConfig::forVermagic).orElseGet(KernelConfig::linux6_1);
        } catch (IllegalArgumentException e) {
            return KernelConfig.linux6_1(); // a vermagic that names no release: any kernel will do
        }
    }

    /** The kernel; {@link #readFiles()} comes before. */
    Kernel kernel(Architecture architecture, KernelConfig config, LoadObserver observer) {
        Kernel.Builder kernel = Kernel.builder(architecture).config(config).observer(observer);
        if (linked != null) {
            kernel.linked(ofArchitecture(linked, architecture));
        }
        if (linked == null || exports != null) {
            kernel.symbols(symbols(architecture, config));
        }
        if (map != null) {
            kernel.kallsyms(map.table());
        }
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

    private LinkedKernel ofArchitecture(LinkedKernel kernel, Architecture architecture) {
        if (!kernel.architecture().equals(architecture)) {
            throw new ParameterException(
                    spec.commandLine(),
                    "%s is a kernel for %s, and the module is for %s"
                            .formatted(
                                    kernelFile, kernel.architecture().name(), architecture.name()));
        }
        return kernel;
    }

    private Optional<Address> address(String name) {
        Optional<Address> known = map == null ? Optional.empty() : map.address(name);
        return known.isPresent() || linked == null ? known : linked.symbols().address(name);
    }

    private KernelSymbols symbols(Architecture architecture, KernelConfig config) {
        if (exports != null) {
            return exports.symbols(architecture, config, this::address);
        }
        return map == null ? KernelSymbols.none() : map.symbols();
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
