"""The materializers that ship with core, as data: nothing here is imported before a value of its type appears."""

from __future__ import annotations

_HERE = "core.builtin.materializers"

BUILTIN: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (
        "torch",
        ("torch:Tensor", "torch._tensor:Tensor", "builtins:dict", "collections:OrderedDict"),
        f"{_HERE}.torch:TorchMaterializer",
    ),
    (
        "json",
        (
            "builtins:NoneType",
            "builtins:bool",
            "builtins:int",
            "builtins:float",
            "builtins:complex",
            "builtins:list",
            "builtins:tuple",
            "builtins:dict",
            "builtins:set",
            "builtins:frozenset",
            "builtins:range",
            "collections:OrderedDict",
            "datetime:date",
            "datetime:time",
            "datetime:timedelta",
            "decimal:Decimal",
            "enum:Enum",
            "fractions:Fraction",
            "numpy:generic",
            "uuid:UUID",
            "dataclasses:dataclass",
            "pydantic.main:BaseModel",
        ),
        f"{_HERE}.plain:JsonMaterializer",
    ),
    ("text", ("builtins:str", "core.markup:HTML", "core.markup:Markdown"), f"{_HERE}.text:TextMaterializer"),
    ("bytes", ("builtins:bytes", "builtins:bytearray"), f"{_HERE}.text:BytesMaterializer"),
    ("path", ("pathlib:Path", "pathlib._local:Path"), f"{_HERE}.path:PathMaterializer"),
    ("file", (f"{_HERE}.path:FileContent",), f"{_HERE}.path:FileMaterializer"),
    ("numpy", ("numpy:ndarray", "numpy:generic"), f"{_HERE}.numpy:NumpyMaterializer"),
    (
        "pandas",
        ("pandas:DataFrame", "pandas:Series", "pandas.core.frame:DataFrame", "pandas.core.series:Series"),
        f"{_HERE}.pandas:PandasMaterializer",
    ),
    (
        "polars",
        ("polars.dataframe.frame:DataFrame", "polars.series.series:Series"),
        f"{_HERE}.polars:PolarsMaterializer",
    ),
    ("arrow", ("pyarrow.lib:Table",), f"{_HERE}.arrow:ArrowMaterializer"),
    ("skops", ("sklearn.base:BaseEstimator",), f"{_HERE}.sklearn:SkopsMaterializer"),
    (
        "torch-pickle",
        ("torch:Tensor", "torch._tensor:Tensor", "torch.nn.modules.module:Module"),
        f"{_HERE}.torch:TorchPickleMaterializer",
    ),
    ("image", ("PIL.Image:Image",), f"{_HERE}.image:ImageMaterializer"),
    ("figure", ("matplotlib.figure:Figure",), f"{_HERE}.image:FigureMaterializer"),
    ("cloudpickle", ("builtins:object",), f"{_HERE}.pickle:CloudpickleMaterializer"),
)
"""Name, types (as in `Materializer.types`; `dataclasses:dataclass` stands for every dataclass), and the class.

Of two for one type the first that accepts the value takes it.
"""
