package io.github.koloader.testkit;

import io.github.koloader.Kernel;
import io.github.koloader.image.Bytes;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.ModuleAllocator.Request;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What a load that fails must not change.
 *
 * @param modules name, state, references, users and exports of all modules
 * @param memory all regions and their bytes
 * @param exports which of some names are exported
 * @param allocated what the allocator has given out
 * @param rest stubs and registrations
 */
record KernelSnapshot(
        List<String> modules,
        Map<String, Bytes> memory,
        List<String> exports,
        Map<Address, Request> allocated,
        List<String> rest) {
    static KernelSnapshot of(Kernel kernel, CountingAllocator allocator, List<String> names) {
        Map<String, Bytes> memory = new LinkedHashMap<>();
        kernel.memory()
                .regions()
                .forEach(region -> memory.put(region.toString(), region.contents()));
        return new KernelSnapshot(
                kernel.modules().stream()
                        .map(
                                module ->
                                        module.name()
                                                + module.state()
                                                + module.referenceCount()
                                                + module.users()
                                                + module.uses()
                                                + module.taints()
                                                + module.blockAddresses()
                                                + module.parameters()
                                                + module.exports())
                        .toList(),
                memory,
                names.stream().filter(name -> kernel.exported(name).isPresent()).toList(),
                allocator.out(),
                List.of(kernel.stubs().toString(), kernel.registry().all().toString()));
    }

    KernelSnapshot withRest(List<String> otherRest) {
        return new KernelSnapshot(modules, memory, exports, allocated, otherRest);
    }
}
