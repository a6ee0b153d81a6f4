#include "tests/parallel/fake_nccl_directory.h"

#include <filesystem>

#include "tests/support/ranks.h"

namespace tandem::test {
namespace {

class Directory {
public:
    Directory() : owner_(test_world().rank() == 0) {
        std::string pattern = std::filesystem::temp_directory_path() / "tandem-fake-nccl-XXXXXX";
        if (owner_) name_ = mkdtemp(pattern.data());
        test_world().broadcast(name_, 0);
    }
    ~Directory() {
        if (owner_) std::filesystem::remove_all(name_);
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    [[nodiscard]] const std::string& name() const { return name_; }

private:
    bool owner_;
    std::string name_;
};

}  // namespace

const std::string& fake_nccl_directory() {
    static const Directory directory;
    return directory.name();
}

}  // namespace tandem::test
