/**
 * Module files: reading and writing {@code .ko}.
 *
 * <pre>{@code
 * ModuleImage image = KoReader.read(Path.of("hello.ko.xz"));
 * Kernel.builder(Architectures.forMachine(image.machine()).orElseThrow()).build().load(image, "");
 * }</pre>
 */
@NullMarked
package io.github.koloader.elf;

import org.jspecify.annotations.NullMarked;
