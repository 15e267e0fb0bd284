/** Measures: parts with JMH, the whole with a tree of real modules. Never deployed. */
@NullMarked
package io.github.koloader.benchmarks;

import org.jspecify.annotations.NullMarked;
