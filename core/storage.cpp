#include "core/storage.h"

namespace gradus {

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
