package io.github.koloader.testkit;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import io.github.koloader.memory.Address;
import io.github.koloader.memory.MemoryType;
import io.github.koloader.memory.ModuleAllocator;
import java.util.Optional;

/** Answers with the addresses that a recorded kernel gave a module. */
final class RecordedAllocator implements ModuleAllocator {
    private final JsonObject record;

    RecordedAllocator(JsonObject record) {
        this.record = record;
    }

    @Override
    public Optional<Address> allocate(Request request) {
        return switch (request.purpose()) {
            case IMAGE -> Optional.of(Address.parse(record.get("image").getAsString()));
            case PER_CPU -> Optional.of(Address.parse(record.get("percpu").getAsString()));
            case HEAP -> Optional.empty(); // recorded loads had no parameters
            case MODULE -> module(request);
        };
    }

    private Optional<Address> module(Request request) {
        if (record.has("mem")) {
            for (JsonElement element : record.getAsJsonArray("mem")) {
                JsonObject memory = element.getAsJsonObject();
                MemoryType type = request.types().iterator().next();
                if (memory.get("type").getAsString().equals(type.kernelName())) {
                    return Optional.of(Address.parse(memory.get("base").getAsString()));
                }
            }
            return Optional.empty();
        }
        boolean init = request.types().stream().allMatch(MemoryType::isInit);
        return Optional.of(
                Address.parse(
                        record.getAsJsonObject(init ? "init" : "core").get("base").getAsString()));
    }

    @Override
    public void free(Address address, Request request) {
        // A replay loads one module.
    }
}
