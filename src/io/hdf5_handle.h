// HDF5 identifiers that close themselves, and its error report as text. Private to src/io.
#pragma once

#include <hdf5.h>

#include <filesystem>
#include <string>
#include <utility>

#include "kernels/base/error.h"
#include "src/io/hdf5_file.h"

namespace tandem::io_detail {

/// The innermost and outermost lines of HDF5's error report, cleared afterwards.
std::string hdf5_error_text();

class Hdf5Handle {
public:
    using Close = herr_t (*)(hid_t);
    Hdf5Handle() = default;
    Hdf5Handle(hid_t id, Close close) : id_(id), close_(close) {}
    ~Hdf5Handle() { reset(); }
    Hdf5Handle(Hdf5Handle&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
    Hdf5Handle& operator=(Hdf5Handle&& other) noexcept {
        if (this != &other) {
            reset();
            id_ = std::exchange(other.id_, H5I_INVALID_HID);
            close_ = other.close_;
        }
        return *this;
    }
    [[nodiscard]] hid_t get() const { return id_; }
    [[nodiscard]] bool valid() const { return id_ >= 0; }
    /// What close returned; the handle is given up either way.
    herr_t reset() { return valid() ? close_(std::exchange(id_, H5I_INVALID_HID)) : 0; }

private:
    hid_t id_ = H5I_INVALID_HID;
    Close close_ = nullptr;
};

}  // namespace tandem::io_detail

namespace tandem {

struct Hdf5File::State {
    std::filesystem::path path, temporary;
    bool writable = false;
    io_detail::Hdf5Handle file;

    ~State();
    /// Input for a file that is read, Run for one that is written: "FILE: cannot VERB 'OBJECT': HDF5's words".
    [[noreturn]] void fail_hdf5(std::string_view verb, std::string_view object) const;
    /// The handle, or fail_hdf5 if `id` is negative.
    io_detail::Hdf5Handle own(hid_t id, io_detail::Hdf5Handle::Close close, std::string_view verb, std::string_view object) const;
    void check(herr_t code, std::string_view verb, std::string_view object) const {
        if (code < 0) fail_hdf5(verb, object);
    }
    [[nodiscard]] hid_t id() const;  ///< of the open file
    [[nodiscard]] io_detail::Hdf5Handle open_object(std::string_view path) const;
    [[nodiscard]] io_detail::Hdf5Handle open_dataset(std::string_view name) const;
};

}  // namespace tandem
