/**
 * The passes that link objects into a kernel, in the order of {@link
 * io.github.koloader.internal.link.Link}; not exported.
 */
@NullMarked
package io.github.koloader.internal.link;

import org.jspecify.annotations.NullMarked;
