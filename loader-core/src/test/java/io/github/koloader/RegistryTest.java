package io.github.koloader;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.koloader.arch.Architectures;
import org.junit.jupiter.api.Test;

final class RegistryTest {
    private final Kernel kernel =
            Kernel.builder(Architectures.X86_64).config(Images.quiet6_1()).build();
    private final Registry registry = kernel.registry();
    private final Module module = kernel.load(Images.empty("m"), "");

    @Test
    void whatIsRegisteredIsFound() {
        assertThat(registry.register(module, "chrdev", "null", 1)).isZero();
        assertThat(registry.find("chrdev", "null"))
                .contains(new Registry.Registration("m", "chrdev", "null", 1));
        assertThat(registry.find("blkdev", "null")).isEmpty();
    }

    @Test
    void aNameIsTakenOnceAmongItsKind() {
        registry.register(module, "chrdev", "null", 1);
        assertThat(registry.register(module, "chrdev", "null", 2)).isEqualTo(-16);
        assertThat(registry.register(module, "blkdev", "null", 3)).isZero();
        assertThat(registry.find("chrdev", "null").orElseThrow().value()).isEqualTo(1);
    }

    @Test
    void whatIsUnregisteredIsGone() {
        registry.register(module, "chrdev", "null", 1);
        assertThat(registry.unregister("chrdev", "null")).isTrue();
        assertThat(registry.unregister("chrdev", "null")).isFalse();
        assertThat(registry.all()).isEmpty();
    }

    @Test
    void registrationsAreListedOldestFirst() {
        registry.register(module, "k", "b", 1);
        registry.register(module, "k", "a", 2);
        assertThat(registry.all())
                .extracting(Registry.Registration::name)
                .containsExactly("b", "a");
        assertThat(registry.of("m")).hasSize(2);
        assertThat(registry.of("other")).isEmpty();
    }

    @Test
    void whatAModuleLeavesBehindStays() {
        registry.register(module, "k", "a", 1);
        kernel.unload("m");
        assertThat(registry.of("m")).hasSize(1);
    }
}
