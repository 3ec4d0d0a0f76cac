"""The bundled schema's tables as Django sees them: it reads and writes the very tables that the toolkit made."""

# ruff: noqa: DJ001, DJ008

from __future__ import annotations

from django.db import models


class _Base(models.Model):  # type: ignore[misc]
    id = models.UUIDField(primary_key=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        abstract = True


class User(_Base):
    email = models.CharField(max_length=320, unique=True)
    name = models.CharField(max_length=100, null=True)
    hashed_password = models.CharField(max_length=255, null=True)
    avatar_url = models.CharField(max_length=500, null=True)
    is_active = models.BooleanField()
    is_superuser = models.BooleanField()
    joined_at = models.DateField()

    class Meta:
        managed = False
        db_table = "user_account"


class Tag(_Base):
    name = models.CharField(max_length=100)
    user = models.ForeignKey(User, models.CASCADE)

    class Meta:
        managed = False
        db_table = "tag"


class Todo(_Base):
    item = models.CharField(max_length=100)
    description = models.CharField(max_length=1024, null=True)
    importance = models.CharField(max_length=6)
    user = models.ForeignKey(User, models.CASCADE)
    start_time = models.DateTimeField(null=True)
    end_time = models.DateTimeField(null=True)
    alarm_time = models.DateTimeField(null=True)
    details = models.JSONField(null=True)
    is_deleted = models.BooleanField()
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "todo"


class TodoTag(_Base):
    todo = models.ForeignKey(Todo, models.CASCADE)
    tag = models.ForeignKey(Tag, models.CASCADE)

    class Meta:
        managed = False
        db_table = "todo_tag"
