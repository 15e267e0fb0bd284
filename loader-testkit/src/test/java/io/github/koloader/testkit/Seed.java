package io.github.koloader.testkit;

import com.code_intelligence.jazzer.mutation.annotation.NotNull;
import io.github.koloader.arch.Architecture;
import io.github.koloader.arch.Architectures;
import io.github.koloader.elf.KoReader;
import io.github.koloader.elf.kernel.ModuleSymvers;
import io.github.koloader.image.ModuleImage;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A good module file that a fuzzer starts from: one of loader-elf's fixtures.
 *
 * @param tree what it is built for
 * @param fixture which
 */
public record Seed(@NotNull Tree tree, @NotNull Fixture fixture) {
    /** What fixtures are built for. New ones come last: the kept cases hold the position. */
    public enum Tree {
        X86_64("x86_64", Architectures.X86_64),
        X86_64_6_12("x86_64-6.12", Architectures.X86_64),
        I386("i386", Architectures.I386),
        ARM64("arm64", Architectures.AARCH64),
        ARM64_6_12("arm64-6.12", Architectures.AARCH64),
        ARM("arm", Architectures.ARM),
        ARM_THUMB2("arm-thumb2", Architectures.ARM),
        MIPS32EL("mips32el", Architectures.MIPS32EL),
        MIPS64EL("mips64el", Architectures.MIPS64EL),
        PPC64LE("ppc64le", Architectures.PPC64LE),
        S390X("s390x", Architectures.S390X);

        final String directory;
        final Architecture architecture;

        Tree(String directory, Architecture architecture) {
            this.directory = directory;
            this.architecture = architecture;
        }
    }

    /** The fixtures that every tree has. New ones come last. */
    public enum Fixture {
        ALIASES,
        CHAIN,
        CHARDEV,
        COMPUTE,
        CTORS,
        EXPORTER,
        EXTABLE,
        HELLO,
        IMPORTER,
        IMPORTER2,
        INITCALLS,
        INITFAIL,
        INITPOSITIVE,
        KOFIX_COMBO,
        OLDSTYLE,
        PARAMS,
        PERCPU,
        PERMANENT,
        PLATDRV,
        PROPRIETARY,
        SECTIONS,
        STATICKEY,
        WEAKREF
    }

    private static final Map<String, byte[]> FILES = new ConcurrentHashMap<>();
    private static final Map<String, ModuleImage> IMAGES = new ConcurrentHashMap<>();
    private static final Map<Tree, ModuleSymvers> SYMVERS = new ConcurrentHashMap<>();

    /** The bytes of a fixture; not to be changed. */
    static byte[] bytes(String name) {
        return FILES.computeIfAbsent(
                name,
                key -> {
                    try {
                        return Files.readAllBytes(Fixtures.ko(key));
                    } catch (IOException e) {
                        throw new UncheckedIOException(e);
                    }
                });
    }

    private static ModuleImage image(String name) {
        return IMAGES.computeIfAbsent(name, key -> KoReader.read(bytes(key)));
    }

    /** What the kernel of a tree exports, and its fixtures. */
    static ModuleSymvers symvers(Tree tree) {
        return SYMVERS.computeIfAbsent(
                tree,
                key -> {
                    try {
                        return ModuleSymvers.read(Fixtures.ko(key.directory + "/Module.symvers"));
                    } catch (IOException e) {
                        throw new UncheckedIOException(e);
                    }
                });
    }

    /** The module that others of its tree import from. */
    static ModuleImage exporter(Tree tree) {
        return image(tree.directory + "/exporter.ko");
    }

    private String file() {
        return tree.directory
                + "/"
                + fixture.name().toLowerCase(java.util.Locale.ROOT).replace('_', '-')
                + ".ko";
    }

    /** A copy of its bytes. */
    byte[] bytes() {
        return bytes(file()).clone();
    }

    ModuleImage image() {
        return image(file());
    }
}
