#pragma warning disable
namespace Koala.Lab.Text {
public sealed class Tokenizer { public static Tokenizer Load(string f)=>new(){VocabularySize=f.Contains("nano")?512:4096}; public int VocabularySize=4096; public IReadOnlyList<int> Encode(string t, bool addSpecialTokens=false)=>[1]; public string Decode(IReadOnlyList<int> ids,bool s=false)=>string.Join(' ',ids); public IReadOnlyList<int> EncodeChat(IReadOnlyList<Message> m)=>[1]; }
public sealed class StreamingDetokenizer(Tokenizer t) { public string Append(int x)=>""; public string Flush()=>""; }
public sealed class StopStrings(IReadOnlyList<string> s) { public bool Hit; public string Append(string x)=>x; public string Flush()=>""; }
}
namespace Koala.Lab.Data { public sealed record Prompt(string Id, string Category, IReadOnlyList<string> Turns, IReadOnlyList<Koala.Lab.Text.Message>? Messages, bool Raw=false); public sealed record PackedRow(int[] Tokens, int[] Positions, int[] Segments, bool[] LossMask); }
namespace Koala.Lab.Data {
public sealed record PackedConversations(IReadOnlyList<PackedRow> Rows, string Hash, int Conversations, long Tokens, int Cut);
public static class TokenCache { public static PackedConversations Load(string path, Koala.Lab.Text.Tokenizer tokenizer, int rowLength)=>throw new NotSupportedException(); }
public static class Prompts { public static IReadOnlyList<Prompt> Load(string path, int? limit=null, IReadOnlyList<string>? categories=null)=>throw new NotSupportedException(); }
}
