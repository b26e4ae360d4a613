"""Uploads stop growing at the limit: nobody fills the disk, whatever page they send a file to."""

from __future__ import annotations

from django.core.files.uploadhandler import FileUploadHandler, SkipFile
from django.http import HttpRequest

from clinic.pictures.rules import MAX_BYTES


class CappedUpload(FileUploadHandler):
    """The first handler: lets each file pass up to MAX_BYTES; a larger one is dropped, and the request says so."""

    def new_file(self, *args: object, **kwargs: object) -> None:
        super().new_file(*args, **kwargs)  # type: ignore[arg-type]
        self.seen = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        self.seen += len(raw_data)
        if self.seen > MAX_BYTES:
            self.request.upload_too_large = True  # type: ignore[union-attr]
            raise SkipFile
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return None


def was_too_large(request: HttpRequest) -> bool:
    """Return whether a file of this request was dropped because of its size."""
    return bool(request.POST is not None and getattr(request, "upload_too_large", False))
