/**
 * A module before loading: sections, symbols, relocations and modinfo, as values and as views on
 * the file's bytes.
 *
 * <pre>{@code
 * ModuleImage image = KoReader.read(Path.of("hello.ko"));
 * String license = image.modinfo().first("license").orElse("unspecified");
 * for (Section section : image.sections()) {
 *     System.out.println(section.name() + " " + section.size());
 * }
 * Kernel.builder(Architectures.X86_64).build().load(image, "");
 * }</pre>
 */
@NullMarked
package io.github.koloader.image;

import org.jspecify.annotations.NullMarked;
