/**
 * The {@code koloader} command: a thin layer over the library. {@link io.github.koloader.cli.Main}
 * starts it, in a process of its own or within a program:
 *
 * <pre>{@code
 * int status = Main.run(System.out, System.err, "insmod", "hello.ko");
 * }</pre>
 */
@NullMarked
package io.github.koloader.cli;

import org.jspecify.annotations.NullMarked;
