/** ELF as bytes: the only place that reads raw offsets; not exported. */
@NullMarked
package io.github.koloader.elf.internal;

import org.jspecify.annotations.NullMarked;
