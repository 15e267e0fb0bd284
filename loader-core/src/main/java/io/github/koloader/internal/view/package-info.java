/**
 * What a kernel shows of its modules: {@code /proc/modules}, {@code /proc/kallsyms}, {@code
 * /sys/module}, the lines of an oops. Made when somebody looks; not exported.
 */
@NullMarked
package io.github.koloader.internal.view;

import org.jspecify.annotations.NullMarked;
