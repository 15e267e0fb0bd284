/**
 * Parameters: splitting of arguments, standard types, tables in a module's memory. Not exported.
 */
@NullMarked
package io.github.koloader.internal.params;

import org.jspecify.annotations.NullMarked;
