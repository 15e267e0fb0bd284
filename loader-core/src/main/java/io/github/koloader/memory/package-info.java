/**
 * Where a module goes: addresses, memory with access rights, the layout of a module, and what
 * places it.
 *
 * <pre>{@code
 * AddressSpace memory = kernel.memory();
 * Address greeting = module.addressOf("greeting").orElseThrow();
 * int first = memory.readByte(greeting);
 * }</pre>
 */
@NullMarked
package io.github.koloader.memory;

import org.jspecify.annotations.NullMarked;
