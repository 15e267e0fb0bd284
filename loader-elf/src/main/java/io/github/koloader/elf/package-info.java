/**
 * Module files: reading and writing {@code .ko}.
 *
 * <pre>{@code
 * ModuleImage image = KoReader.read(Path.of("hello.ko.xz"));
 * Architecture architecture =
 *         Architectures.forMachine(image.machine(), image.encoding()).orElseThrow();
 * Kernel.builder(architecture).build().load(image, "");
 * }</pre>
 */
@NullMarked
package io.github.koloader.elf;

import org.jspecify.annotations.NullMarked;
