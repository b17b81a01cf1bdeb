using System.Text.Json.Nodes;

namespace Lamina.Compute.Templates;

/// <summary>Variables of a template, as JSON values; everything under them is untrusted text, save the names of the well-known roles.</summary>
/// <param name="Variables">At least <c>messages</c>, <c>add_generation_prompt</c>, <c>bos_token</c>, <c>eos_token</c>; the latter two trusted.</param>
/// <param name="Now">What <c>strftime_now</c> formats; without it that function fails.</param>
public sealed record TemplateInput(JsonObject Variables, DateTime? Now = null);
