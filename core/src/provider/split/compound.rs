//! The serde side of the serializer: each item as `ciborium` writes it.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::{Array, Blocks, NULL, Splitter, Unsupported};

/// The structs of openmls with something to cut.
enum Place {
    Elsewhere,
    /// The secrets of an epoch.
    Secrets,
    /// Its secret tree.
    Tree,
    /// A past epoch.
    Epoch,
}

/// A sequence, map or struct.
pub(super) struct Compound<'s, 'a> {
    to: &'s mut Splitter<'a>,
    place: Place,
    blocks: Option<Blocks>,
}

impl<'s, 'a> Compound<'s, 'a> {
    fn new(to: &'s mut Splitter<'a>) -> Self {
        Self { to, place: Place::Elsewhere, blocks: None }
    }

    fn element(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Unsupported> {
        match &mut self.blocks {
            Some(blocks) => blocks.element(self.to, value),
            None => value.serialize(&mut *self.to),
        }
    }

    fn field(
        &mut self,
        key: &'static str,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), Unsupported> {
        self.to.text(key);
        match (&self.place, key) {
            (Place::Secrets, "serialized_context") => self.to.context(value),
            (Place::Tree, key) if let Some(array) = Array::of(key) => self.to.array(array, value),
            (Place::Epoch, "leaves") => self.to.leaves(value),
            _ => value.serialize(&mut *self.to),
        }
    }

    fn finish(self) -> Result<(), Unsupported> {
        match self.blocks {
            Some(blocks) => blocks.end(self.to),
            None => Ok(()),
        }
    }
}

fn sized(len: Option<usize>) -> Result<u64, Unsupported> {
    len.map(|len| len as u64).ok_or_else(|| Unsupported("a sequence of unknown length".into()))
}

fn no(what: &str) -> Unsupported {
    Unsupported(what.to_owned())
}

impl<'s, 'a> Serializer for &'s mut Splitter<'a> {
    type Ok = ();
    type Error = Unsupported;
    type SerializeSeq = Compound<'s, 'a>;
    type SerializeTuple = Compound<'s, 'a>;
    type SerializeTupleStruct = Compound<'s, 'a>;
    type SerializeTupleVariant = Compound<'s, 'a>;
    type SerializeMap = Compound<'s, 'a>;
    type SerializeStruct = Compound<'s, 'a>;
    type SerializeStructVariant = Compound<'s, 'a>;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, value: bool) -> Result<(), Unsupported> {
        self.out.push(if value { 0xf5 } else { 0xf4 });
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<(), Unsupported> {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), Unsupported> {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<(), Unsupported> {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<(), Unsupported> {
        // A negative number n is written as -1 - n, which is its complement.
        let major = u8::from(value < 0);
        self.head(major, if value < 0 { !value } else { value }.unsigned_abs());
        Ok(())
    }

    fn serialize_u8(self, value: u8) -> Result<(), Unsupported> {
        // Nearly everything is a sequence of these.
        if value < 24 {
            self.out.push(value);
        } else {
            self.out.extend_from_slice(&[0x18, value]);
        }
        Ok(())
    }

    fn serialize_u16(self, value: u16) -> Result<(), Unsupported> {
        self.head(0, value.into());
        Ok(())
    }

    fn serialize_u32(self, value: u32) -> Result<(), Unsupported> {
        self.head(0, value.into());
        Ok(())
    }

    fn serialize_u64(self, value: u64) -> Result<(), Unsupported> {
        self.head(0, value);
        Ok(())
    }

    fn serialize_f32(self, _: f32) -> Result<(), Unsupported> {
        Err(no("a float"))
    }

    fn serialize_f64(self, _: f64) -> Result<(), Unsupported> {
        Err(no("a float"))
    }

    fn serialize_char(self, value: char) -> Result<(), Unsupported> {
        self.text(value.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), Unsupported> {
        self.text(value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Unsupported> {
        self.head(2, value.len() as u64);
        self.out.extend_from_slice(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Unsupported> {
        self.out.push(NULL);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unsupported> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Unsupported> {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unsupported> {
        self.serialize_none()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Unsupported> {
        self.text(variant);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unsupported> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Unsupported> {
        self.head(5, 1);
        self.text(variant);
        value.serialize(self)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Compound<'s, 'a>, Unsupported> {
        self.head(4, sized(len)?);
        let blocks = self.cut.take().map(|(tree, array)| Blocks::begin(self, tree, array));
        Ok(Compound { blocks, ..Compound::new(self) })
    }

    fn serialize_tuple(self, len: usize) -> Result<Compound<'s, 'a>, Unsupported> {
        self.head(4, len as u64);
        Ok(Compound::new(self))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        len: usize,
    ) -> Result<Compound<'s, 'a>, Unsupported> {
        self.serialize_tuple(len)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Compound<'s, 'a>, Unsupported> {
        self.head(5, 1);
        self.text(variant);
        self.serialize_tuple(len)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Compound<'s, 'a>, Unsupported> {
        self.head(5, sized(len)?);
        Ok(Compound::new(self))
    }

    fn serialize_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Compound<'s, 'a>, Unsupported> {
        self.head(5, len as u64);
        let place = match name {
            "MessageSecrets" => Place::Secrets,
            "SecretTree" => Place::Tree,
            "EpochTree" => Place::Epoch,
            _ => Place::Elsewhere,
        };
        if matches!(place, Place::Secrets | Place::Epoch) {
            self.tree = None;
        }
        Ok(Compound { place, ..Compound::new(self) })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Compound<'s, 'a>, Unsupported> {
        self.head(5, 1);
        self.text(variant);
        self.serialize_map(Some(len))
    }
}

/// The ways of serde to hand over an item of a sequence.
macro_rules! sequences {
    ($($Trait:ident: $method:ident;)*) => {$(
        impl $Trait for Compound<'_, '_> {
            type Ok = ();
            type Error = Unsupported;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unsupported> {
                self.element(value)
            }

            fn end(self) -> Result<(), Unsupported> {
                self.finish()
            }
        }
    )*};
}

sequences! {
    SerializeSeq: serialize_element;
    SerializeTuple: serialize_element;
    SerializeTupleStruct: serialize_field;
    SerializeTupleVariant: serialize_field;
}

impl SerializeMap for Compound<'_, '_> {
    type Ok = ();
    type Error = Unsupported;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unsupported> {
        key.serialize(&mut *self.to)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unsupported> {
        value.serialize(&mut *self.to)
    }

    fn end(self) -> Result<(), Unsupported> {
        Ok(())
    }
}

/// The ways of serde to hand over a named field.
macro_rules! structs {
    ($($Trait:ident),*) => {$(
        impl $Trait for Compound<'_, '_> {
            type Ok = ();
            type Error = Unsupported;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Unsupported> {
                self.field(key, value)
            }

            fn end(self) -> Result<(), Unsupported> {
                Ok(())
            }
        }
    )*};
}

structs!(SerializeStruct, SerializeStructVariant);
