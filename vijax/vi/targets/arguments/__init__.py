"""A model's arguments, before the model is known: what is data, and what is fixed.

user_arguments   as users have them, by name; what cannot be data is refused
data_arguments   parted into arrays and structure, and what float32 would blur
looked_up        what a function reads beside its arguments: globals, closures
fresh_arrays     the same as other objects, for another precision
"""

__all__: list[str] = []


def __dir__() -> list[str]:
    return __all__
