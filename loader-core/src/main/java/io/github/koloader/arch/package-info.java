/**
 * What is special to an architecture: relocations, addresses, section names. A relocation is a
 * table row; a new architecture is one class that implements {@link
 * io.github.koloader.arch.Architecture}.
 *
 * <pre>{@code
 * Architecture architecture =
 *         Architectures.forMachine(image.machine(), image.encoding()).orElseThrow();
 * Kernel.builder(architecture).build().load(image, "");
 * }</pre>
 */
@NullMarked
package io.github.koloader.arch;

import org.jspecify.annotations.NullMarked;
