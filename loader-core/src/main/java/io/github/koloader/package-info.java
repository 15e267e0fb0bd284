/**
 * A kernel to load modules into, and what is plugged into it.
 *
 * <pre>{@code
 * Kernel kernel = Kernel.builder(Architectures.X86_64).build();
 * Module hello = kernel.load(KoReader.read(Path.of("hello.ko")), "");
 * System.out.print(kernel.log().dmesg());
 * kernel.unload("hello");
 * }</pre>
 */
@NullMarked
package io.github.koloader;

import org.jspecify.annotations.NullMarked;
