/**
 * For tests of and with KoLoader: recordings of real kernels to compare loads with, and generators
 * of module images for properties.
 *
 * <pre>{@code
 * @Property
 * @Domain(ImageArbitraries.class)
 * void loads(@ForAll ModuleImage image) {
 *     Architecture architecture =
 *             Architectures.forMachine(image.machine(), image.encoding()).orElseThrow();
 *     Module module = Kernel.builder(architecture).build().load(image, "");
 *     assertEquals(ModuleState.LIVE, module.state());
 * }
 * }</pre>
 */
@NullMarked
package io.github.koloader.testkit;

import org.jspecify.annotations.NullMarked;
