#include <algorithm>

#include "src/io/hdf5_file.h"
#include "src/io/hdf5_handle.h"

namespace tandem {

using io_detail::Hdf5Handle;

Hdf5Handle Hdf5File::State::open_object(std::string_view object) const {
    const auto name = object.empty() ? std::string("/") : std::string(object);
    return own(H5Oopen(id(), name.c_str(), H5P_DEFAULT), H5Oclose, "find", name);
}

namespace {

std::string label(std::string_view object, const std::string& name) { return fmt::format("{}@{}", object, name); }

void write_attribute(const Hdf5File::State& s, std::string_view object, const std::string& name, hid_t type, const void* value) {
    const auto where = label(object, name);
    const auto parent = s.open_object(object);
    const auto exists = H5Aexists(parent.get(), name.c_str());
    s.check(exists, "look for attribute", where);
    if (exists > 0) s.check(H5Adelete(parent.get(), name.c_str()), "replace attribute", where);
    const auto space = s.own(H5Screate(H5S_SCALAR), H5Sclose, "create attribute", where);
    const auto attribute =
        s.own(H5Acreate2(parent.get(), name.c_str(), type, space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose, "create attribute", where);
    s.check(H5Awrite(attribute.get(), type, value), "write attribute", where);
}

/// The attribute and its type in the file; Input unless it is a scalar of `type_class`.
std::pair<Hdf5Handle, Hdf5Handle> open_attribute(const Hdf5File::State& s, std::string_view object, const std::string& name,
                                                 H5T_class_t type_class, std::string_view wanted) {
    const auto where = label(object, name);
    const auto parent = s.open_object(object);
    if (H5Aexists(parent.get(), name.c_str()) <= 0) {
        H5Eclear2(H5E_DEFAULT);
        fail(Failure::Input, "{}: attribute '{}' is missing; it is {}", s.path.string(), where, wanted);
    }
    auto attribute = s.own(H5Aopen(parent.get(), name.c_str(), H5P_DEFAULT), H5Aclose, "open attribute", where);
    auto type = s.own(H5Aget_type(attribute.get()), H5Tclose, "read the type of attribute", where);
    const auto space = s.own(H5Aget_space(attribute.get()), H5Sclose, "read the shape of attribute", where);
    if (H5Sget_simple_extent_npoints(space.get()) != 1 || H5Tget_class(type.get()) != type_class) {
        fail(Failure::Input, "{}: attribute '{}' is not {}", s.path.string(), where, wanted);
    }
    return {std::move(attribute), std::move(type)};
}

herr_t append_name(hid_t, const char* name, const H5L_info_t*, void* names) {
    static_cast<std::vector<std::string>*>(names)->emplace_back(name);
    return 0;
}

}  // namespace

void Hdf5File::set_attribute(std::string_view object, const std::string& name, const std::string& value) {
    const auto type = state_->own(H5Tcopy(H5T_C_S1), H5Tclose, "create attribute", name);
    state_->check(H5Tset_size(type.get(), std::max<std::size_t>(1, value.size())), "create attribute", name);
    state_->check(H5Tset_strpad(type.get(), H5T_STR_NULLPAD), "create attribute", name);
    state_->check(H5Tset_cset(type.get(), H5T_CSET_UTF8), "create attribute", name);
    const auto padded = value.empty() ? std::string(1, '\0') : value;
    write_attribute(*state_, object, name, type.get(), padded.data());
}

void Hdf5File::set_attribute(std::string_view object, const std::string& name, std::int64_t value) {
    write_attribute(*state_, object, name, H5T_STD_I64LE, &value);
}

void Hdf5File::set_attribute(std::string_view object, const std::string& name, double value) {
    write_attribute(*state_, object, name, H5T_IEEE_F64LE, &value);
}

bool Hdf5File::has_attribute(std::string_view object, const std::string& name) const {
    const auto parent = state_->open_object(object);
    const auto exists = H5Aexists(parent.get(), name.c_str());
    state_->check(exists, "look for attribute", label(object, name));
    return exists > 0;
}

std::string Hdf5File::string_attribute(std::string_view object, const std::string& name) const {
    const auto [attribute, type] = open_attribute(*state_, object, name, H5T_STRING, "a string");
    if (H5Tis_variable_str(type.get()) > 0) {  // what h5py writes
        char* text = nullptr;
        state_->check(H5Aread(attribute.get(), type.get(), static_cast<void*>(&text)), "read attribute", label(object, name));
        std::string value(text == nullptr ? "" : text);
        H5free_memory(text);
        return value;
    }
    std::string value(H5Tget_size(type.get()), '\0');
    state_->check(H5Aread(attribute.get(), type.get(), value.data()), "read attribute", label(object, name));
    return value.substr(0, value.find_last_not_of('\0') + 1);
}

std::int64_t Hdf5File::integer_attribute(std::string_view object, const std::string& name) const {
    const auto [attribute, type] = open_attribute(*state_, object, name, H5T_INTEGER, "an integer");
    std::int64_t value = 0;
    state_->check(H5Aread(attribute.get(), H5T_STD_I64LE, &value), "read attribute", label(object, name));
    return value;
}

double Hdf5File::number_attribute(std::string_view object, const std::string& name) const {
    const auto [attribute, type] = open_attribute(*state_, object, name, H5T_FLOAT, "a number");
    double value = 0;
    state_->check(H5Aread(attribute.get(), H5T_IEEE_F64LE, &value), "read attribute", label(object, name));
    return value;
}

void Hdf5File::create_group(std::string_view group) {
    const auto& s = *state_;
    if (group.empty() || contains(group)) return;
    const std::string name(group);
    const auto links = s.own(H5Pcreate(H5P_LINK_CREATE), H5Pclose, "create group", group);
    s.check(H5Pset_create_intermediate_group(links.get(), 1), "create group", group);
    const auto handle = s.own(H5Gcreate2(s.id(), name.c_str(), links.get(), H5P_DEFAULT, H5P_DEFAULT), H5Gclose, "create group", group);
}

bool Hdf5File::contains(std::string_view path) const {
    // H5Lexists wants every group on the way to exist.
    for (std::size_t end = 0; end != std::string_view::npos && !path.empty();) {
        end = path.find('/', end + 1);
        const std::string prefix(path.substr(0, end));
        const auto exists = H5Lexists(state_->id(), prefix.c_str(), H5P_DEFAULT);
        if (exists < 0) H5Eclear2(H5E_DEFAULT);  // a dataset where a group is needed
        if (exists <= 0) return false;
    }
    return true;
}

std::vector<std::string> Hdf5File::children(std::string_view group) const {
    const auto object = state_->open_object(group);
    if (H5Iget_type(object.get()) != H5I_GROUP) fail(Failure::Input, "{}: '{}' is not a group", state_->path.string(), group);
    std::vector<std::string> names;
    hsize_t position = 0;
    state_->check(H5Literate(object.get(), H5_INDEX_NAME, H5_ITER_INC, &position, append_name, &names), "list group", group);
    return names;
}

}  // namespace tandem
