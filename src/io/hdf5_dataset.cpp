#include <algorithm>
#include <array>

#include "src/io/hdf5_file.h"
#include "src/io/hdf5_handle.h"

namespace tandem {

using io_detail::Hdf5Handle;

namespace {

constexpr const char* kTypeAttribute = "dtype";

/// Type in the file, little-endian everywhere.
hid_t file_type(DType dtype) {
    switch (dtype) {
        case DType::F64: return H5T_IEEE_F64LE;
        case DType::F32: return H5T_IEEE_F32LE;
        case DType::BF16:
        case DType::F16: return H5T_STD_U16LE;
        case DType::I64: return H5T_STD_I64LE;
        case DType::I32: return H5T_STD_I32LE;
        case DType::U8: return H5T_STD_U8LE;
    }
    fail(Failure::Run, "no HDF5 type for element type {}", static_cast<int>(dtype));
}

using Extents = std::array<hsize_t, Shape::kMaxDims>;

Extents extents_of(const Shape& shape) {
    Extents e{};
    std::transform(shape.extents().begin(), shape.extents().end(), e.begin(), [](std::int64_t x) { return static_cast<hsize_t>(x); });
    return e;
}

Hdf5Handle simple_space(const Hdf5File::State& state, const Shape& shape, std::string_view name) {
    const auto extents = extents_of(shape);
    return state.own(H5Screate_simple(shape.dims(), extents.data(), nullptr), H5Sclose, "describe", name);
}

DType stored_type(const Hdf5File::State& state, const Hdf5Handle& dataset, const Hdf5File& file, std::string_view name) {
    const auto type = state.own(H5Dget_type(dataset.get()), H5Tclose, "read the type of", name);
    for (const auto dtype : {DType::F64, DType::F32, DType::I64, DType::I32, DType::U8}) {
        if (H5Tequal(type.get(), file_type(dtype)) > 0) return dtype;
    }
    if (H5Tequal(type.get(), H5T_STD_U16LE) > 0 && file.has_attribute(name, kTypeAttribute)) {
        const auto text = file.string_attribute(name, kTypeAttribute);
        for (const auto dtype : {DType::BF16, DType::F16}) {
            if (text == tandem::name(dtype)) return dtype;
        }
    }
    fail(Failure::Input, "{}: dataset '{}' has an element type that is not used by tandem", state.path.string(), name);
}

/// The operands of one transfer, checked; the file space with the box selected.
Hdf5Handle select_box(const Hdf5File::State& state, const Hdf5Dataset& info, const Hdf5Handle& dataset, std::string_view name, DType dtype,
                      const Shape& start, const Shape& extent) {
    if (info.dtype != dtype) {
        fail(state.writable ? Failure::Run : Failure::Input, "{}: dataset '{}' holds {}, but {} is needed", state.path.string(), name,
             tandem::name(info.dtype), tandem::name(dtype));
    }
    bool inside = start.dims() == info.shape.dims() && extent.dims() == info.shape.dims();
    for (int i = 0; inside && i < extent.dims(); ++i) {
        inside = start[i] >= 0 && extent[i] >= 0 && start[i] <= info.shape[i] && extent[i] <= info.shape[i] - start[i];
    }
    if (!inside) {
        fail(state.writable ? Failure::Run : Failure::Input, "{}: dataset '{}' has shape {}, which does not contain {} elements at {}",
             state.path.string(), name, info.shape.str(), extent.str(), start.str());
    }
    auto space = state.own(H5Dget_space(dataset.get()), H5Sclose, "read the shape of", name);
    const auto first = extents_of(start), count = extents_of(extent);
    state.check(H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, first.data(), nullptr, count.data(), nullptr), "select in", name);
    return space;
}

}  // namespace

Hdf5Handle Hdf5File::State::open_dataset(std::string_view name) const {
    const auto object = H5Oopen(id(), std::string(name).c_str(), H5P_DEFAULT);
    if (object < 0) {
        const auto cause = io_detail::hdf5_error_text();
        fail(writable ? Failure::Run : Failure::Input, "{}: there is no dataset '{}': {}", path.string(), name, cause);
    }
    Hdf5Handle handle(object, H5Oclose);
    if (H5Iget_type(object) != H5I_DATASET) fail(Failure::Input, "{}: '{}' is not a dataset", path.string(), name);
    return handle;
}

void Hdf5File::create_dataset(std::string_view name, DType dtype, const Shape& shape) {
    const auto& s = *state_;
    require(shape.dims() >= 1, "dataset '{}' needs at least one dimension", name);
    const auto space = simple_space(s, shape, name);
    const auto links = s.own(H5Pcreate(H5P_LINK_CREATE), H5Pclose, "create", name);
    s.check(H5Pset_create_intermediate_group(links.get(), 1), "create", name);
    const auto layout = s.own(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "create", name);
    s.check(H5Pset_layout(layout.get(), H5D_CONTIGUOUS), "create", name);
    s.check(H5Pset_alloc_time(layout.get(), H5D_ALLOC_TIME_EARLY), "create", name);
    s.check(H5Pset_fill_time(layout.get(), H5D_FILL_TIME_NEVER), "create", name);
    s.check(H5Pset_obj_track_times(layout.get(), false), "create", name);  // equal contents make equal files
    const std::string path(name);
    {
        const auto dataset = s.own(H5Dcreate2(s.id(), path.c_str(), file_type(dtype), space.get(), links.get(), layout.get(), H5P_DEFAULT),
                                   H5Dclose, "create dataset", name);
    }
    if (dtype == DType::BF16 || dtype == DType::F16) set_attribute(name, kTypeAttribute, std::string(tandem::name(dtype)));
}

Hdf5Dataset Hdf5File::dataset(std::string_view name) const {
    const auto& s = *state_;
    const auto handle = s.open_dataset(name);
    const auto space = s.own(H5Dget_space(handle.get()), H5Sclose, "read the shape of", name);
    const auto dims = H5Sget_simple_extent_ndims(space.get());
    if (dims < 1 || dims > Shape::kMaxDims) {
        fail(Failure::Input, "{}: dataset '{}' has {} dimensions; 1 to {} are supported", s.path.string(), name, dims, Shape::kMaxDims);
    }
    Extents extents{};
    s.check(H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr), "read the shape of", name);
    std::array<std::int64_t, Shape::kMaxDims> signed_extents{};
    std::uint64_t elements = 1;
    for (std::size_t i = 0; i < static_cast<std::size_t>(dims); ++i) {
        signed_extents[i] = static_cast<std::int64_t>(extents[i]);
        if (signed_extents[i] < 0 || __builtin_mul_overflow(elements, extents[i], &elements) || elements > (std::uint64_t{1} << 58U)) {
            fail(Failure::Input, "{}: dataset '{}' has an impossible shape: the file is damaged", s.path.string(), name);
        }
    }
    Hdf5Dataset info;
    info.dtype = stored_type(s, handle, *this, name);
    info.shape = Shape(std::span<const std::int64_t>(signed_extents.data(), static_cast<std::size_t>(dims)));
    const auto layout = s.own(H5Dget_create_plist(handle.get()), H5Pclose, "read the layout of", name);
    if (H5Pget_external_count(layout.get()) > 0) fail(Failure::Input, "{}: dataset '{}' lies in other files", s.path.string(), name);
    const auto offset = H5Dget_offset(handle.get());
    H5Eclear2(H5E_DEFAULT);  // chunked datasets have none, which HDF5 counts as an error
    info.offset = offset == HADDR_UNDEF ? 0 : offset;
    hsize_t file_size = 0;
    s.check(H5Fget_filesize(s.id(), &file_size), "read the size of the file of", name);
    if (!s.writable && (info.offset > file_size || (info.offset != 0 && info.bytes() > file_size - info.offset))) {
        fail(Failure::Input, "{}: dataset '{}' lies outside of the file: truncated or damaged", s.path.string(), name);
    }
    return info;
}

void Hdf5File::write(std::string_view name, DType dtype, const Shape& start, const Shape& extent, const void* data) {
    const auto& s = *state_;
    const auto info = dataset(name);
    auto handle = s.open_dataset(name);
    const auto target = select_box(s, info, handle, name, dtype, start, extent);
    if (extent.elements() == 0) return;
    const auto memory = simple_space(s, extent, name);
    s.check(H5Dwrite(handle.get(), file_type(dtype), memory.get(), target.get(), H5P_DEFAULT, data), "write dataset", name);
    s.check(handle.reset(), "write dataset", name);  // small pieces are buffered until then
}

void Hdf5File::read(std::string_view name, DType dtype, const Shape& start, const Shape& extent, void* data) const {
    const auto& s = *state_;
    const auto info = dataset(name);
    const auto handle = s.open_dataset(name);
    const auto source = select_box(s, info, handle, name, dtype, start, extent);
    if (extent.elements() == 0) return;
    const auto memory = simple_space(s, extent, name);
    s.check(H5Dread(handle.get(), file_type(dtype), memory.get(), source.get(), H5P_DEFAULT, data), "read dataset", name);
}

}  // namespace tandem
