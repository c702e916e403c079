"""Voices, models and users as ElevenLabs' clients list them."""

from __future__ import annotations

from typing import Any

from parlando.serve.service import Service
from parlando.serve.voices import Listed

NO_LIMIT = 2**31 - 1  # of characters; their clients want a number
# Of every voice; all but the speed say nothing here.
SETTINGS = {"stability": 0.5, "similarity_boost": 0.75, "style": 0.0, "use_speaker_boost": True, "speed": 1.0}


def own_voices(service: Service, caller: str) -> list[dict[str, Any]]:
    """Every voice that a caller may use, in their shape; names that stand for others are left out."""
    return [voice_card(each) for each in service.voices.listed(service.host(None), caller) if each.stands_for is None]


def voice_card(voice: Listed) -> dict[str, Any]:
    """A voice as their clients see it."""
    return {
        "voice_id": voice.name,
        "name": voice.display_name or voice.name,
        "category": "cloned" if voice.origin == "uploaded" else "premade",
        "description": voice.description or "",
        "labels": {"language": voice.language},
        "samples": None,
        "preview_url": None,
        "settings": SETTINGS,
    }


def model_card(service: Service, name: str) -> dict[str, Any]:
    """A model as their clients see it."""
    voices = service.hosts[name].synthesizer.voices.values()
    return {
        "model_id": name,
        "name": name,
        "description": f"{name}, spoken by Parlando",
        "can_do_text_to_speech": True,
        "can_do_voice_conversion": service.hosts[name].synthesizer.model.converter is not None,
        "can_be_finetuned": False,
        "can_use_style": False,
        "can_use_speaker_boost": False,
        "serves_pro_voices": False,
        "maximum_text_length_per_request": service.config.limits.max_input_characters,
        "languages": [{"language_id": code, "name": code} for code in sorted({each.language for each in voices})],
    }


def subscription_card(service: Service, caller: str) -> dict[str, Any]:
    """A subscription as their clients ask for it: nothing is counted or sold here."""
    uploads = sum(each.origin == "uploaded" for each in service.voices.listed(service.host(None), caller))
    return {
        "tier": "local",
        "character_count": 0,
        "character_limit": NO_LIMIT,
        "max_credit_limit_extension": "unlimited",
        "can_extend_character_limit": False,
        "allowed_to_extend_character_limit": False,
        "voice_slots_used": uploads,
        "professional_voice_slots_used": 0,
        "professional_voice_slots_used_in_workspace": 0,
        "voice_limit": service.config.limits.max_voices,
        "voice_add_edit_counter": 0,
        "professional_voice_limit": 0,
        "can_extend_voice_limit": False,
        "can_use_instant_voice_cloning": True,
        "can_use_professional_voice_cloning": False,
        "current_overage": {"amount": "0", "currency": "usd"},
        "status": "active",
        "open_invoices": [],
        "has_open_invoices": False,
    }


def user_card(service: Service, caller: str) -> dict[str, Any]:
    """Who asks, as their clients see it: the name of the key, or the address."""
    return {
        "user_id": caller,
        "workspace_id": "local",
        "first_name": caller,
        "subscription": subscription_card(service, caller),
        "is_new_user": False,
        "can_use_delayed_payment_methods": False,
        "is_onboarding_completed": True,
        "is_onboarding_checklist_completed": True,
        "created_at": 0,
        "seat_type": "workspace_member",
    }
