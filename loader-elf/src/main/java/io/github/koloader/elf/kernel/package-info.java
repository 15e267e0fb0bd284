/**
 * What a kernel to load against can be read from.
 *
 * <pre>{@code
 * KernelSymbols symbols = ModuleSymvers.read(Path.of("Module.symvers")).symbols(Architectures.X86_64);
 * Kernel kernel = Kernel.builder(Architectures.X86_64).symbols(symbols).strict().build();
 * kernel.load(KoReader.read(Path.of("hello.ko")), "");
 * }</pre>
 */
@NullMarked
package io.github.koloader.elf.kernel;

import org.jspecify.annotations.NullMarked;
