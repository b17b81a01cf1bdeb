namespace Lamina.Compute.Tokenization.Vocabularies;

/// <summary>
/// Finds the tokens that end a generation, and corrects the attributes of tokens that files mark wrongly. GGUF names only some of these tokens by id; the
/// rest are known by their texts, as in llama.cpp, whose lists these are.
/// </summary>
internal static class SpecialTokens
{
    private static readonly HashSet<string> EndTexts =
    [
        "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>",
        "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~[",
    ];

    // Fill-in-the-middle tokens: the key that names the id, the texts that do, and whether the token ends a generation.
    private static readonly (string[] Keys, string[] Texts, bool Ends)[] FillInMiddle =
    [
        (["fim_pre_token_id", "prefix_token_id"], ["<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>", "<|code_prefix|>", "<|prefix|>"], false),
        (["fim_suf_token_id", "suffix_token_id"], ["<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>", "<|code_suffix|>", "<|suffix|>"], false),
        (["fim_mid_token_id", "middle_token_id"], ["<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>", "<|code_middle|>", "<|middle|>"], false),
        (["fim_pad_token_id"], ["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"], true),
        (["fim_rep_token_id"], ["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"], true),
        (["fim_sep_token_id"], ["<|file_sep|>"], true),
    ];

    // Harmony's structural tokens show in output, because whoever reads the answer parses them.
    private static readonly string[] HarmonyTexts = ["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"];

    /// <param name="idOf">Token id by text.</param>
    /// <param name="idOfKey">Id that the file gives under <c>tokenizer.ggml.</c> and this name.</param>
    public static HashSet<int> FindEndOfGeneration(Func<string, int?> idOf, Func<string, int?> idOfKey, int? eos, TokenAttributes[] attributes)
    {
        var ends = new HashSet<int>();
        foreach ((string[] keys, string[] texts, bool endsGeneration) in FillInMiddle)
        {
            int? id = keys.Select(idOfKey).FirstOrDefault(id => id is not null);
            if (id is null && texts.Select(idOf).FirstOrDefault(id => id is not null) is { } found)
            {
                id = found;
                MakeControl(attributes, found);
            }

            if (endsGeneration && id is { } end)
            {
                ends.Add(end);
            }
        }

        foreach (string text in EndTexts)
        {
            if (idOf(text) is { } id)
            {
                ends.Add(id);
                MakeControl(attributes, id);
            }
        }

        foreach (string text in HarmonyTexts)
        {
            if (idOf(text) is { } id)
            {
                Show(attributes, id);
            }
        }

        foreach (int? id in new[] { eos, idOfKey("eot_token_id"), idOfKey("eom_token_id") })
        {
            if (id is { } end)
            {
                ends.Add(end);
            }
        }

        RemoveFalseEnds(idOf, attributes, ends);
        return ends;
    }

    private static void RemoveFalseEnds(Func<string, int?> idOf, TokenAttributes[] attributes, HashSet<int> ends)
    {
        bool Ends(string text) => idOf(text) is { } id && ends.Contains(id);

        // In Harmony and Solar a message ends with <|end|> but the answer goes on.
        if (Ends("<|end|>") && ((Ends("<|return|>") && (Ends("<|call|>") || Ends("<|calls|>"))) || (Ends("<|flush|>") && (Ends("<|call|>") || Ends("<|calls|>")))))
        {
            int id = idOf("<|end|>")!.Value;
            ends.Remove(id);
            Show(attributes, id);
        }

        // In Gemma 4 </s> is an HTML tag.
        if (Ends("<|tool_response>") && Ends("</s>"))
        {
            int id = idOf("</s>")!.Value;
            ends.Remove(id);
            attributes[id] = TokenAttributes.Normal;
        }
    }

    private static void MakeControl(TokenAttributes[] attributes, int id) => attributes[id] |= TokenAttributes.Control | TokenAttributes.TrustedOnly;

    /// <summary>Makes a control token visible in output; a user's text still never yields it.</summary>
    private static void Show(TokenAttributes[] attributes, int id) => attributes[id] = TokenAttributes.UserDefined | TokenAttributes.TrustedOnly;
}
