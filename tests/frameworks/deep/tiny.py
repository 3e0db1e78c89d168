"""Models of a few kilobytes, made here: no hub is asked for anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "a", "very", "the"]
CLASSES = {
    "text-classification": "DistilBertForSequenceClassification",
    "fill-mask": "DistilBertForMaskedLM",
    "feature-extraction": "DistilBertModel",
    "token-classification": "DistilBertForTokenClassification",
    "text-generation": "GPT2LMHeadModel",
    "zero-shot-classification": "DistilBertForSequenceClassification",
}


def tokenizer() -> Any:
    """A tokenizer of eleven words."""
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "pad", "cls", "sep", "mask")}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=32, **special)


def pipeline(task: str) -> Any:
    """A pipeline with weights by chance, the same ones every time."""
    torch.manual_seed(0)
    if task == "text-generation":
        config: Any = transformers.GPT2Config(
            vocab_size=11, n_embd=16, n_layer=1, n_head=2, n_positions=32, bos_token_id=2, eos_token_id=3, pad_token_id=0
        )
    else:
        labels = {0: "contradiction", 1: "entailment"} if task == "zero-shot-classification" else {0: "bad", 1: "good"}
        config = transformers.DistilBertConfig(
            vocab_size=11, dim=16, hidden_dim=32, n_layers=1, n_heads=2, max_position_embeddings=32,
            id2label=labels, label2id={label: number for number, label in labels.items()},
        )  # fmt: skip
    return transformers.pipeline(task, model=getattr(transformers, CLASSES[task])(config).eval(), tokenizer=tokenizer())


def sentence_transformer(place: Path) -> Any:
    """An embedding model of 16 dimensions; `place` is where its parts are written first."""
    import sentence_transformers
    from sentence_transformers import models

    pipeline("feature-extraction").model.save_pretrained(place)
    tokenizer().save_pretrained(place)
    words = models.Transformer(str(place), max_seq_length=32)
    pooling = models.Pooling(words.get_word_embedding_dimension())
    return sentence_transformers.SentenceTransformer(modules=[words, pooling], device="cpu")


def text_classifier() -> Any:
    """A blank spaCy pipeline that classifies texts."""
    import spacy

    made = spacy.blank("en")
    classifier: Any = made.add_pipe("textcat")
    for label in ("good", "bad"):
        classifier.add_label(label)
    made.initialize()
    return made
