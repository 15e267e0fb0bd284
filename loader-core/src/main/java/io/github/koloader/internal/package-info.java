/** State and tools of the loader; not exported. */
@NullMarked
package io.github.koloader.internal;

import org.jspecify.annotations.NullMarked;
