// What follows the template library in its scope. Templates are untrusted, and a single call of these functions
// can take more time or memory than is checked between two calls.

// C# has done it already (TemplateSource.cs).
preprocess = (template) => template;

const longestPadding = 1 << 16;
const longestText = 1 << 22;
const mostComparisons = 2 ** 28;

const limit = (name, check) => {
    const method = String.prototype[name];
    String.prototype[name] = function (argument, ...others) {
        check(this, argument);
        return method.call(this, argument, ...others);
    };
};

limit("repeat", (text, count) => {
    if (text.length * count > longestPadding) throw new RangeError("it makes a padding of more than 65536 characters");
});
for (const name of ["includes", "split", "replaceAll"]) {
    limit(name, (text, pattern) => {
        const length = typeof pattern === "string" ? pattern.length : pattern.source.length;
        if (text.length * length > mostComparisons) throw new RangeError("it looks for a long text in a long text");
    });
}

const join = Array.prototype.join;
Array.prototype.join = function (separator = ",") {
    let length = this.length * separator.length;
    for (const part of this) if (typeof part === "string") length += part.length;
    if (length > longestText) throw new RangeError("it makes a text of more than 4194304 characters");
    return join.call(this, separator);
};

const stringify = JSON.stringify;
JSON.stringify = (value) => {
    if (typeof value === "string" && value.length > longestText) throw new RangeError("it makes a text of more than 4194304 characters");
    return stringify(value);
};
