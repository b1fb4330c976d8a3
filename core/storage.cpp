#include "core/storage.h"

#include <new>

#include "core/cuda.h"

namespace gradus {

Ref<Storage> Storage::allocate(size_t bytes, Device device) {
  if (!device.is_cpu()) return cuda::runtime().allocate(bytes, device);
  void* block = gradus::allocate(sizeof(Storage) + bytes);
  return Ref(new (block) Storage(static_cast<char*>(block) + sizeof(Storage), bytes, Device::cpu()));
}

Ref<Storage> Storage::foreign(void* data, size_t bytes, Device device, std::function<void()> release) {
  Ref<Storage> storage(new (gradus::allocate(sizeof(Storage))) Storage(data, bytes, device));
  storage->release_ = new std::function<void()>(std::move(release));
  return storage;
}

void Storage::dispose(Storage* storage) {
  size_t block_bytes = sizeof(Storage) + storage->bytes_;
  if (storage->release_) {
    if (*storage->release_) (*storage->release_)();
    delete storage->release_;
    block_bytes = sizeof(Storage);
  }
  storage->~Storage();
  deallocate(storage, block_bytes);
}

}  // namespace gradus
