// HDF5 files through the serial driver: contiguous datasets of one or more dimensions, read and written by boxes, and
// attributes. A file that is created appears under its name at commit(), and not at all otherwise.
//
// Every return code is checked; HDF5's own error report goes into our message instead of to the terminal. Errors:
// Configuration for a path that does not exist or may not be made; Input for a file that is not HDF5, truncated or damaged, or
// lacks what is asked of it; Run for what fails while writing. HDF5 is not thread-safe: one thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/tensor.h"

namespace tandem {

/// "1.10.8": the library in use.
[[nodiscard]] std::string hdf5_version();

/// To be called before MPI is started: an HDF5 that finds MPI running ends itself within MPI_Finalize, where it crashes if a file could not
/// be written (a full disk), and with it the job's exit code and message.
void start_hdf5();

struct Hdf5Dataset {
    DType dtype = DType::F32;
    Shape shape;
    std::uint64_t offset = 0;  ///< of its first byte in the file; 0: not contiguous there (another program's file)
    [[nodiscard]] std::uint64_t bytes() const { return static_cast<std::uint64_t>(shape.elements()) * size_of(dtype); }
};

class Hdf5File {
public:
    /// A new file, under a temporary name until commit().
    static Hdf5File create(const std::filesystem::path& file);
    /// An existing file, for reading.
    static Hdf5File open(const std::filesystem::path& file);
    ~Hdf5File();  ///< removes a file that was created and not committed
    Hdf5File(Hdf5File&&) noexcept;
    Hdf5File& operator=(Hdf5File&&) noexcept;

    // Objects are named by paths ("optimizer/m"); the groups on the way are made as needed.
    void create_group(std::string_view group);
    /// Contiguous, space taken at once (so that its offset is known), contents undefined until written. bf16 and fp16 are kept as
    /// unsigned 16-bit patterns with the attribute `dtype`.
    void create_dataset(std::string_view name, DType dtype, const Shape& shape);
    [[nodiscard]] bool contains(std::string_view path) const;
    /// Names in a group ("" is the root), sorted.
    [[nodiscard]] std::vector<std::string> children(std::string_view group = "") const;
    [[nodiscard]] Hdf5Dataset dataset(std::string_view name) const;

    /// The box of `extent` elements that begins at `start`, contiguous in memory. `dtype` is the dataset's.
    void write(std::string_view name, DType dtype, const Shape& start, const Shape& extent, const void* data);
    void read(std::string_view name, DType dtype, const Shape& start, const Shape& extent, void* data) const;

    /// Elements [first, first + data.size()) of a one-dimensional dataset.
    template <class T>
    void write(std::string_view name, std::int64_t first, std::span<const T> data) {
        write(name, dtype_of<T>(), Shape{first}, Shape{static_cast<std::int64_t>(data.size())}, data.data());
    }
    template <class T>
    void read(std::string_view name, std::int64_t first, std::span<T> data) const {
        read(name, dtype_of<T>(), Shape{first}, Shape{static_cast<std::int64_t>(data.size())}, data.data());
    }
    /// create_dataset and write of a whole one-dimensional dataset.
    template <class T>
    void write_all(std::string_view name, std::span<const T> data) {
        create_dataset(name, dtype_of<T>(), Shape{static_cast<std::int64_t>(data.size())});
        write(name, 0, data);
    }
    /// All elements of a dataset, row-major.
    template <class T>
    [[nodiscard]] std::vector<T> read_all(std::string_view name) const {
        const auto info = dataset(name);
        std::vector<T> data(static_cast<std::size_t>(info.shape.elements()));
        std::vector<std::int64_t> zero(static_cast<std::size_t>(info.shape.dims()), 0);
        read(name, dtype_of<T>(), Shape(std::span<const std::int64_t>(zero)), info.shape, data.data());
        return data;
    }

    // Attributes of a group or dataset; "" is the root. Setting replaces.
    void set_attribute(std::string_view object, const std::string& name, const std::string& value);
    void set_attribute(std::string_view object, const std::string& name, std::int64_t value);
    void set_attribute(std::string_view object, const std::string& name, double value);
    [[nodiscard]] bool has_attribute(std::string_view object, const std::string& name) const;
    [[nodiscard]] std::string string_attribute(std::string_view object, const std::string& name) const;
    [[nodiscard]] std::int64_t integer_attribute(std::string_view object, const std::string& name) const;
    [[nodiscard]] double number_attribute(std::string_view object, const std::string& name) const;

    /// Ends the use of HDF5 on this file; the file stays under temporary() so that bytes may still be written at known offsets.
    void close();
    /// close(), fsync, rename to the final name, fsync of the directory.
    void commit();

    [[nodiscard]] const std::filesystem::path& path() const;       ///< as given
    [[nodiscard]] const std::filesystem::path& temporary() const;  ///< where a file being created lies

    struct State;  ///< for src/io only

private:
    explicit Hdf5File(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace tandem
