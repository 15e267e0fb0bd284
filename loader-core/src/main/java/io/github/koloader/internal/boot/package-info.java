/** Boot of a linked kernel, and what modules share with it; not exported. */
@NullMarked
package io.github.koloader.internal.boot;

import org.jspecify.annotations.NullMarked;
