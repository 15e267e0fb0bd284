/**
 * The passes of a load, in the order of {@link io.github.koloader.internal.load.LoadSequence}; not
 * exported.
 */
@NullMarked
package io.github.koloader.internal.load;

import org.jspecify.annotations.NullMarked;
